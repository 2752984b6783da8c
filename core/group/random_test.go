package group

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// client is what a random test remembers of a client: what it was told last.
type client struct {
	group, member string
	instance      *string
	generation    int32
	leads         []string // the members to assign to
}

// TestRandomOperationsKeepTheInvariants runs random clients against a shard and checks, after every step, the numbered
// invariants, and now and then that the log replays to the same durable state.
func TestRandomOperationsKeepTheInvariants(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for step := range 1500 {
				w.step()
				w.d.checkInvariants(fmt.Sprintf("step %d", step))
				if step%50 == 0 {
					w.checkReplay()
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			w.settle()
		})
	}
}

type world struct {
	t       *testing.T
	d       *driver
	rng     *rand.Rand
	clients []*client
	waits   map[machine.Ticket]request
}

// request is who waits for an answer, and the member it said it was.
type request struct {
	*client
	as string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), waits: map[machine.Ticket]request{}}
	cfg := testConfig()
	cfg.MaxSize = 4 + w.rng.IntN(6)
	cfg.InitialRebalanceDelayMs = int32(w.rng.IntN(3) * 500)
	cfg.OffsetsRetentionMs = 400_000
	w.d = newDriver(t, cfg)
	for i := range 10 {
		c := &client{group: fmt.Sprintf("g%d", w.rng.IntN(2)), generation: -1}
		if w.rng.IntN(3) == 0 {
			name := fmt.Sprintf("i%d", i%3)
			c.instance = &name
		}
		w.clients = append(w.clients, c)
	}
	return w
}

func (w *world) step() {
	c := w.clients[w.rng.IntN(len(w.clients))]
	switch w.rng.IntN(12) {
	case 0, 1, 2:
		w.do(c, w.join(c))
	case 3, 4:
		w.do(c, w.sync(c))
	case 5:
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.InstanceID, req.Generation = c.group, c.member, c.instance, c.generation
		w.do(c, Heartbeat{req})
	case 6:
		w.do(c, w.commit(c))
	case 7:
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group = 3, c.group
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.member, InstanceID: c.instance}}
		w.do(c, Leave{req})
	case 8:
		w.do(c, Delete{c.group})
	case 9:
		if w.rng.IntN(40) == 0 {
			w.d.restart()
			clear(w.waits)
		}
	default:
		w.d.advance(int64(w.rng.IntN(4000)), w.learn)
	}
}

func (w *world) join(c *client) Op {
	a := args{"session": "6000", "rebalance": fmt.Sprint(3000 + w.rng.IntN(6000)), "member": c.member}
	if w.rng.IntN(5) == 0 {
		a["member"] = ""
	}
	if c.instance != nil {
		a["instance"] = *c.instance
	}
	a["protocols"] = []string{"range", "range,sticky", "sticky,range", "sticky"}[w.rng.IntN(4)]
	a["topics"] = []string{"t", "t,u"}[w.rng.IntN(2)]
	w.d.ids++
	return Join{Req: w.d.joinRequest(c.group, int16(w.rng.IntN(10)), a), ClientID: "c", NewID: fmt.Sprint(w.d.ids)}
}

func (w *world) sync(c *client) Op {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = c.group, c.member, c.instance, c.generation
	for _, m := range c.leads {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m, MemberAssignment: []byte("for " + m)})
	}
	return Sync{req}
}

func (w *world) commit(c *client) Op {
	op := Commit{Group: c.group, Member: c.member, Instance: c.instance, Generation: c.generation, Version: 8, RetentionMs: -1}
	if w.rng.IntN(3) == 0 {
		op.Member, op.Instance, op.Generation = "", nil, -1
	}
	for range w.rng.IntN(4) {
		op.Offsets = append(op.Offsets, CommitOffset{Topic: "t", Partition: w.rng.Int32N(3), Offset: w.rng.Int64N(100)})
	}
	return op
}

func (w *world) do(c *client, op Op) {
	w.d.last++
	w.d.waiting[w.d.last] = "c"
	w.waits[w.d.last] = request{c, c.member}
	var fx Effects
	w.d.s.Decide(w.d.now, w.d.last, op, &fx)
	w.d.carry(&fx)
	w.learn(&fx)
}

// learn tells the clients their answers, and checks that only members get work, and only their own.
func (w *world) learn(fx *Effects) {
	for _, a := range fx.Answers {
		c := w.waits[a.To]
		if c.client == nil {
			w.t.Errorf("a second answer to ticket %d: %v", a.To, printReply(a.Reply))
			continue
		}
		delete(w.waits, a.To)
		delete(w.d.waiting, a.To)
		switch r := a.Reply.(type) {
		case *kmsg.JoinGroupResponse:
			w.joined(c.client, r)
		case *kmsg.SyncGroupResponse:
			if got := string(r.MemberAssignment); r.ErrorCode == 0 && got != "" && !c.mayDo(got) {
				w.t.Errorf("%s was assigned %q", c.as, got)
			}
		}
	}
}

// mayDo tells whether work was meant for the client: for its member id, or, of a static member, for one it had before.
func (c *request) mayDo(work string) bool {
	return work == "for "+c.as || c.instance != nil && strings.HasPrefix(work, "for "+*c.instance+"-")
}

func (w *world) joined(c *client, r *kmsg.JoinGroupResponse) {
	if r.ErrorCode != 0 {
		c.member, c.leads = "", nil
		if Code(r.ErrorCode) == MemberIDRequired {
			c.member = r.MemberID
		}
		return
	}
	c.member, c.generation, c.leads = r.MemberID, r.Generation, nil
	if len(r.Members) > 0 && r.LeaderID != r.MemberID {
		w.t.Errorf("%s is told the members, and that %s leads", r.MemberID, r.LeaderID)
	}
	for _, m := range r.Members {
		c.leads = append(c.leads, m.MemberID)
	}
}

// checkReplay compares the shard with one made of its log: what is durable is equal, and so is a group that is stable.
func (w *world) checkReplay() {
	fresh, err := New(w.d.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range w.d.log {
		if err := fresh.Replay(r); err != nil {
			w.t.Fatal(err)
		}
	}
	fresh.Loaded(w.d.now)
	if a, b := dump(w.d.s), dump(fresh); !bytes.Equal(a, b) {
		w.t.Errorf("replay differs:\n%s\n%s", a, b)
	}
	if fresh.Len() != w.d.s.Len() {
		w.t.Errorf("Len is %d, of a fresh shard %d", w.d.s.Len(), fresh.Len())
	}
	for id, g := range w.d.s.groups {
		if g.is(Stable) {
			w.sameGroup(g, fresh.groups[id])
		}
	}
}

func dump(s *Shard) []byte {
	var out []byte
	for r := range s.Durable() {
		out = fmt.Appendf(out, "%x=%x\n", r.Key, r.Value)
	}
	return out
}

func (w *world) sameGroup(live, loaded *Group) {
	if loaded == nil || loaded.generation != live.generation || loaded.leader != live.leader || loaded.protocol != live.protocol ||
		loaded.state != live.state || !reflect.DeepEqual(loaded.static, live.static) || !reflect.DeepEqual(loaded.subscribed, live.subscribed) {
		w.t.Errorf("group %s was loaded as %+v, is %+v", live.id, loaded, live)
		return
	}
	for i, m := range live.order {
		l := loaded.order[i]
		if l.id != m.id || !bytes.Equal(l.assignment, m.assignment) || !bytes.Equal(l.metadata(live.protocol), m.metadata(live.protocol)) ||
			l.rebalanceMs != m.rebalanceMs || l.sessionMs != m.sessionMs {
			w.t.Errorf("member %s was loaded as %+v, is %+v", m.id, l, m)
		}
	}
}

// settle lets all sessions end: every request must get its answer, every group become empty.
func (w *world) settle() {
	w.d.advance(20*60*1000, w.learn)
	w.d.checkInvariants("at the end")
	if len(w.waits) > 0 {
		w.t.Errorf("%d requests were never answered", len(w.waits))
	}
	w.d.advance(3*600_000, w.learn)
	if len(w.d.s.groups) > 0 || w.d.s.Len() > 0 {
		w.t.Errorf("%d groups and %d records are left when all has expired", len(w.d.s.groups), w.d.s.Len())
	}
	w.checkReplay()
}
