package transform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// coordinator is a group's coordinator that answers as the test says. Without a say, the member is alone in its group:
// it leads, with the assignor that protocol names, and every request succeeds.
type coordinator struct {
	mu         sync.Mutex
	say        func(req kmsg.Request, nth int) (code kafkaError, said bool) // nth of its kind, from 0
	protocol   string
	generation int32
	assignment []TopicPartition // what a sync answers, whatever was sent
	asked      []string         // kinds of requests that change something
	count      map[int16]int
	joins      []kmsg.JoinGroupRequest
	commits    []kmsg.OffsetCommitRequest
	left       []string
}

func (c *coordinator) Call(ctx context.Context, _, _ string, req kmsg.Request) (kmsg.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if c.count == nil {
		c.count = make(map[int16]int)
	}
	nth := c.count[req.Key()]
	c.count[req.Key()]++
	switch req.(type) {
	case *kmsg.HeartbeatRequest, *kmsg.DescribeGroupsRequest:
	default:
		c.asked = append(c.asked, kmsg.NameForKey(req.Key()))
	}
	var code int16
	if c.say != nil {
		if said, ok := c.say(req, nth); ok {
			code = int16(said)
		}
	}
	return c.answer(req, code)
}

func (c *coordinator) answer(req kmsg.Request, code int16) (kmsg.Response, error) {
	switch req := req.(type) {
	case *kmsg.FindCoordinatorRequest:
		return &kmsg.FindCoordinatorResponse{Coordinators: []kmsg.FindCoordinatorResponseCoordinator{{ErrorCode: code}}}, nil
	case *kmsg.JoinGroupRequest:
		c.joins = append(c.joins, *req)
		id := req.MemberID
		if id == "" {
			id = fmt.Sprintf("id%d", len(c.joins))
		}
		if code == 0 {
			c.generation++
		}
		return &kmsg.JoinGroupResponse{ErrorCode: code, Generation: c.generation, Protocol: &c.protocol, LeaderID: "other", MemberID: id}, nil
	case *kmsg.SyncGroupRequest:
		p := encodePlan([]groupMember{{}}, plan{c.assignment})
		return &kmsg.SyncGroupResponse{ErrorCode: code, MemberAssignment: p[0].MemberAssignment}, nil
	case *kmsg.HeartbeatRequest:
		return &kmsg.HeartbeatResponse{ErrorCode: code}, nil
	case *kmsg.LeaveGroupRequest:
		c.left = append(c.left, req.Members[0].MemberID+" "+*req.Members[0].InstanceID)
		return &kmsg.LeaveGroupResponse{ErrorCode: code}, nil
	case *kmsg.OffsetFetchRequest:
		return &kmsg.OffsetFetchResponse{ErrorCode: code}, nil
	case *kmsg.OffsetCommitRequest:
		if code == 0 {
			c.commits = append(c.commits, *req)
		}
		return &kmsg.OffsetCommitResponse{Topics: []kmsg.OffsetCommitResponseTopic{{Topic: "in",
			Partitions: []kmsg.OffsetCommitResponseTopicPartition{{ErrorCode: code}}}}}, nil
	}
	return nil, errors.New("not a request of members")
}

// assign changes what the group's leader gives the member from the next round on.
func (c *coordinator) assign(protocol string, tps ...TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.protocol, c.assignment = protocol, tps
}

// kinds returns what was asked since the last call, heartbeats and descriptions aside.
func (c *coordinator) kinds() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}

// lone is a member with its processor under a coordinator.
type lone struct {
	*member
	coordinator *coordinator
	memory      *memory
	stop        func()
}

func startMember(t *testing.T, c *coordinator, g *goGuest) *lone {
	t.Helper()
	m := oneToOne()
	l := &lone{coordinator: c, memory: m}
	l.member = newMember(memberConfig{
		group: "g", instanceID: "static", inputs: func() []string { return []string{"in"} }, ready: func(context.Context, []string) {}, requester: requester{c, "client"},
		partitionCount: func(string) int32 { return 2 }, startOf: func(TopicPartition) record.Offset { return 0 },
		joined: func() {}, hindered: func(error) {}, stays: func() time.Duration { return 0 }, logger: quiet(),
	})
	instances := &pool{program: g, log: func(int32, int, string) {}, counters: new(counters)}
	l.proc = newProcessor(processorConfig{
		source: m, sink: m, pool: instances, filter: true, wants: g.wants, outputTopics: []string{"out"}, retries: 3, counters: new(counters),
		partitionCount: func(string) int32 { return 2 }, halt: func(bool, string) {}, commit: l.commitOffsets, logger: quiet(),
	})
	working, stopWorking := context.WithCancel(t.Context())
	joined, leaveGroup := context.WithCancel(t.Context())
	var leaving sync.WaitGroup
	go l.proc.run(working)
	leaving.Go(func() { l.run(joined) })
	l.stop = func() {
		leaveGroup()
		leaving.Wait()
		stopWorking()
		<-l.proc.done
	}
	return l
}

func passAll() *goGuest { return &goGuest{filter: contains(""), wants: abi.WantRaw} }

// holds returns the partitions that the processor works on.
func (l *lone) holds(t *testing.T) []TopicPartition {
	t.Helper()
	var out []TopicPartition
	l.proc.do(t.Context(), func() {
		for _, part := range l.proc.parts {
			out = append(out, part.tp)
		}
	})
	return out
}

func (l *lone) expect(t *testing.T, what string, kinds []string, holds ...TopicPartition) {
	t.Helper()
	synctest.Wait()
	if got := l.coordinator.kinds(); !slices.Equal(got, kinds) {
		t.Errorf("%s: asked %q, want %q", what, got, kinds)
	}
	if got := l.holds(t); !slices.Equal(got, holds) {
		t.Errorf("%s: holds %v, want %v", what, got, holds)
	}
}

var firstRound = []string{"FindCoordinator", "JoinGroup", "SyncGroup", "OffsetFetch"}

func TestAMemberJoinsAgainUnderTheIDThatItIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{protocol: "range", assignment: []TopicPartition{in0}}
		c.say = func(req kmsg.Request, nth int) (kafkaError, bool) {
			_, join := req.(*kmsg.JoinGroupRequest)
			return codeMemberIDRequired, join && nth == 0
		}
		l := startMember(t, c, passAll())
		l.expect(t, "joined", []string{"FindCoordinator", "JoinGroup", "JoinGroup", "SyncGroup", "OffsetFetch"}, in0)
		if c.joins[0].MemberID != "" || c.joins[1].MemberID != "id1" {
			t.Errorf("joined as %q, then as %q", c.joins[0].MemberID, c.joins[1].MemberID)
		}
		l.stop()
		if !slices.Equal(c.left, []string{"id1 static"}) {
			t.Errorf("left as %q", c.left)
		}
	})
}

// rebalanceAt has the nth heartbeat, and only that one, tell of a rebalance.
func rebalanceAt(n int) func(kmsg.Request, int) (kafkaError, bool) {
	return func(req kmsg.Request, nth int) (kafkaError, bool) {
		_, heartbeat := req.(*kmsg.HeartbeatRequest)
		return codeRebalancing, heartbeat && nth == n
	}
}

func TestAnEagerMemberCommitsAndGivesEverythingUpBeforeItJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{protocol: "range", assignment: []TopicPartition{in0, in1}, say: rebalanceAt(0)}
		l := startMember(t, c, passAll())
		l.expect(t, "joined", firstRound, in0, in1)
		l.memory.put(t, in0, batchOf(t, record.CodecNone, "a"))
		time.Sleep(heartbeatInterval - 350*time.Millisecond)
		c.assign("range", in1)
		time.Sleep(350 * time.Millisecond)
		l.expect(t, "rebalanced", []string{"OffsetCommit", "JoinGroup", "SyncGroup", "OffsetFetch"}, in1)
		again := c.joins[1]
		for _, p := range again.Protocols {
			got, err := assignorNamed(p.Name).decodeMember(&kmsg.JoinGroupResponseMember{ProtocolMetadata: p.Metadata})
			if err != nil || len(got.owned) != 0 {
				t.Errorf("%s claims %v, %v", p.Name, got.owned, err)
			}
		}
		l.stop()
	})
}

func TestACooperativeMemberKeepsWorkingAndJoinsTwiceToHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{protocol: "cooperative-sticky", assignment: []TopicPartition{in0, in1}, say: rebalanceAt(2)}
		l := startMember(t, c, passAll())
		time.Sleep(3*heartbeatInterval - time.Millisecond)
		l.expect(t, "joined", firstRound, in0, in1)
		c.assign("cooperative-sticky", in0)
		l.memory.put(t, in1, batchOf(t, record.CodecNone, "a"))
		time.Sleep(time.Millisecond)
		l.expect(t, "handed over", []string{"OffsetCommit", "JoinGroup", "SyncGroup", "JoinGroup", "SyncGroup"}, in0)
		claims := func(n int) []TopicPartition {
			got, err := assignors[0].decodeMember(&kmsg.JoinGroupResponseMember{ProtocolMetadata: c.joins[n].Protocols[0].Metadata})
			if err != nil {
				t.Fatal(err)
			}
			return got.owned
		}
		if !slices.Equal(claims(1), []TopicPartition{in0, in1}) || !slices.Equal(claims(2), []TopicPartition{in0}) {
			t.Errorf("claimed %v, then %v", claims(1), claims(2))
		}
		if got := l.memory.values(t, out1); !slices.Equal(got, []string{"a"}) {
			t.Errorf("what came before the handing over: %q", got)
		}
		l.stop()
	})
}

func TestACooperativeMemberInAGroupThatTurnsEagerDropsWhatItLostWithoutACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{protocol: "cooperative-sticky", assignment: []TopicPartition{in0, in1}}
		sync := make(chan struct{})
		c.say = rebalanceAt(0)
		l := startMember(t, c, passAll())
		l.expect(t, "joined", firstRound, in0, in1)
		c.assign("range", in1)
		c.mu.Lock()
		rebalance := c.say
		c.say = func(req kmsg.Request, nth int) (kafkaError, bool) {
			if _, ok := req.(*kmsg.SyncGroupRequest); ok && nth == 1 {
				c.mu.Unlock()
				<-sync
				c.mu.Lock()
			}
			return rebalance(req, nth)
		}
		c.mu.Unlock()
		time.Sleep(heartbeatInterval)
		synctest.Wait()
		// The group is eager and the assignment is not known yet: anybody may have the partitions.
		l.memory.put(t, in0, batchOf(t, record.CodecNone, "not ours any more"))
		l.memory.put(t, in1, batchOf(t, record.CodecNone, "still ours"))
		synctest.Wait()
		if a, b := l.memory.values(t, out0), l.memory.values(t, out1); len(a)+len(b) != 0 {
			t.Errorf("processed %q and %q while suspended", a, b)
		}
		close(sync)
		l.expect(t, "turned", []string{"JoinGroup", "SyncGroup"}, in1)
		if a, b := l.memory.values(t, out0), l.memory.values(t, out1); len(a) != 0 || len(b) != 1 {
			t.Errorf("processed %q and %q", a, b)
		}
		l.stop()
		if last := c.commits[len(c.commits)-1]; len(c.commits) != 1 || last.Generation != 2 || last.Topics[0].Partitions[0].Partition != 1 {
			t.Errorf("commits: %+v", c.commits)
		}
	})
}

func TestAMemberThatTheGroupForgotDropsEverythingAndJoinsAsNew(t *testing.T) {
	for _, code := range []kafkaError{codeUnknownMember, codeIllegalGeneration, codeFencedInstance} {
		synctest.Test(t, func(t *testing.T) {
			c := &coordinator{protocol: "cooperative-sticky", assignment: []TopicPartition{in0}}
			c.say = func(req kmsg.Request, nth int) (kafkaError, bool) {
				_, heartbeat := req.(*kmsg.HeartbeatRequest)
				return code, heartbeat && nth == 0
			}
			l := startMember(t, c, passAll())
			l.expect(t, "joined", firstRound, in0)
			l.memory.put(t, in0, batchOf(t, record.CodecNone, "a"))
			c.mu.Lock()
			say := c.say
			c.say = func(req kmsg.Request, nth int) (kafkaError, bool) {
				if _, commit := req.(*kmsg.OffsetCommitRequest); commit && nth == 0 {
					return code, true
				}
				return say(req, nth)
			}
			c.mu.Unlock()
			time.Sleep(idleCommitInterval + time.Millisecond) // a refused commit has the member look at once
			synctest.Wait()
			want := []string{"OffsetCommit", "FindCoordinator", "JoinGroup", "SyncGroup", "OffsetFetch"}
			if code == codeIllegalGeneration {
				want = slices.Delete(want, 1, 2)
			}
			l.expect(t, code.Error(), want, in0)
			if rejoined := c.joins[1].MemberID; (rejoined == "") != (code != codeIllegalGeneration) {
				t.Errorf("%v: joined again as %q", code, rejoined)
			}
			// Nothing was committed, so the record comes again: at least once.
			if got := l.memory.values(t, out0); !slices.Equal(got, []string{"a", "a"}) {
				t.Errorf("%v: out has %q", code, got)
			}
			l.stop()
		})
	}
}

func TestASyncThatMeetsAnotherRebalanceIsFollowedByAJoin(t *testing.T) {
	for _, protocol := range []string{"cooperative-sticky", "range"} {
		synctest.Test(t, func(t *testing.T) {
			c := &coordinator{protocol: protocol, assignment: []TopicPartition{in0}}
			c.say = func(req kmsg.Request, nth int) (kafkaError, bool) {
				_, sync := req.(*kmsg.SyncGroupRequest)
				return codeRebalancing, sync && nth == 0
			}
			l := startMember(t, c, passAll())
			l.expect(t, protocol, []string{"FindCoordinator", "JoinGroup", "SyncGroup", "JoinGroup", "SyncGroup", "OffsetFetch"}, in0)
			l.stop()
		})
	}
}

func TestAnAssignmentOfOtherTopicsIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{protocol: "range", assignment: []TopicPartition{{"__consumer_offsets", 1}, in1}}
		l := startMember(t, c, passAll())
		l.expect(t, "joined", firstRound, in1)
		l.stop()
	})
}

func TestAMemberWhoseGuestHangsLeavesAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{protocol: "range", assignment: []TopicPartition{in0}}
		released := make(chan struct{})
		g := &goGuest{wants: abi.WantRaw, filter: func([]byte) (bool, error) {
			<-released
			return false, context.Canceled
		}}
		l := startMember(t, c, g)
		l.memory.put(t, in0, batchOf(t, record.CodecNone, "a"))
		time.Sleep(time.Second)
		begin := time.Now()
		time.AfterFunc(5*time.Second, func() { close(released) })
		l.stop()
		if took := time.Since(begin); took < 5*time.Second || len(c.left) != 1 {
			t.Errorf("stopped after %s, left %q", took, c.left)
		}
		if left := c.asked[len(c.asked)-1]; left != "LeaveGroup" {
			t.Errorf("the last request was %s", left)
		}
	})
}
