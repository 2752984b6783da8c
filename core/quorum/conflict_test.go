package quorum

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/millrun/millrun/core/meta"
)

// other is another broker as the log sees it: it appends at the log's end, without this log's knowledge.
type other struct {
	l *Log
	n int
}

// append tries to append a command and tells whether it came first.
func (o *other) append(c meta.Command) (bool, error) {
	o.n++
	s := o.l.Stats()
	msg := nats.NewMsg(logSubject)
	msg.Data = chainHash(s.Chain).seal(meta.AppendCommand(nil, c))
	msg.Header.Set(nats.MsgIdHdr, fmt.Sprint("other", o.n))
	msg.Header.Set(nats.ExpectedLastSeqHdr, fmt.Sprint(s.Committed))
	answer, err := o.l.node.conn.RequestMsg(msg, 5*time.Second)
	if err != nil {
		return false, err
	}
	if !json.Valid(answer.Data) {
		return false, fmt.Errorf("answer %q", answer.Data)
	}
	err = parseAnswer(answer)
	if errors.Is(err, errConflict) {
		return false, nil
	}
	return err == nil, err
}

func TestChangesAreDecidedAgainWhenAnotherBrokerWasFaster(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	stop := make(chan struct{})
	var wg, theirs sync.WaitGroup
	won := 0
	theirs.Go(func() {
		o := &other{l: l}
		for {
			select {
			case <-stop:
				return
			default:
			}
			ok, err := o.append(&meta.AlterBrokerConfigs{Node: 7, Configs: map[string]string{"other": fmt.Sprint(won)}})
			if err != nil {
				t.Error(err)
				return
			}
			if ok {
				won++
			}
		}
	})
	const callers, each = 4, 40
	for range callers {
		wg.Go(func() {
			for range each {
				time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // or the other broker never gets a turn
				if _, err := l.Change(t.Context(), func(img *meta.Image) (meta.Command, error) {
					return set("n", img.BrokerConfigs(meta.ClusterDefault)["n"]+"|")(img)
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	theirs.Wait()
	img := mustChange(t, l, noop)
	if n := len(img.BrokerConfigs(meta.ClusterDefault)["n"]); n != callers*each {
		t.Errorf("%d changes counted to %d", callers*each, n)
	}
	s := l.Stats()
	t.Logf("%d commands of the other broker, %d conflicts", won, s.Conflicts)
	if won == 0 || s.Conflicts == 0 || s.Ignored != 0 {
		t.Errorf("the other broker won %d times, stats %+v", won, s)
	}
	want := img.Hash()
	closeLog(t, l)
	if l = openLog(t, dir); l.Image().Hash() != want {
		t.Error("a restart gives another image")
	}
}

func TestWhatOthersAppendIsAppliedAndReconciledInOrder(t *testing.T) {
	l := openLog(t, t.TempDir())
	seen := make(chan uint64, 100)
	l.Follow(func(_, after *meta.Image) { seen <- after.Seq() })
	o := &other{l: l}
	if first := <-seen; first != 1 {
		t.Fatalf("the first is %d", first)
	}
	for i := range 5 {
		if ok, err := o.append(&meta.Noop{}); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if got := <-seen; got != uint64(i+2) {
			t.Fatalf("saw %d after %d", got, i+1)
		}
	}
}

// More is republished than the queue holds while the reconciler hangs: the rest has to be read from the stream.
func TestLostNoticesAreFilledFromTheStream(t *testing.T) {
	l := openLog(t, t.TempDir())
	hold := make(chan struct{})
	calls := 0
	l.Follow(func(_, _ *meta.Image) {
		if calls++; calls == 2 {
			<-hold
		}
	})
	s := l.Stats()
	chain, seq := chainHash(s.Chain), s.Committed
	want := cap(l.notices) + 200
	for i := range want {
		command := meta.AppendCommand(nil, &meta.AlterBrokerConfigs{Node: 7, Configs: map[string]string{"i": fmt.Sprint(i)}})
		if err := l.node.publish("", fmt.Sprint("other", i), seq, chain.seal(command)); err != nil {
			t.Fatal(err)
		}
		seq++
		chain = chain.next(seq, command)
	}
	for {
		more, err := l.node.hasLogAfter(seq - 1)
		if err != nil {
			t.Fatal(err)
		}
		if more {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(hold)
	img := mustChange(t, l, noop)
	if got := img.BrokerConfigs(7)["i"]; got != fmt.Sprint(want-1) || img.Seq() != seq+1 {
		t.Errorf("the last one is %s at %d", got, img.Seq())
	}
}

func TestARepeatedAppendHappensOnce(t *testing.T) {
	l := openLog(t, t.TempDir())
	for i := range 20 {
		l.mu.Lock()
		on, err := l.add(l.top, &meta.AllocateProducerIDs{First: int64(i) * 10, Count: 10}, 10)
		if err != nil || l.flying == nil {
			t.Fatal(err, l.flying)
		}
		l.publish(l.flying)
		l.publish(l.flying)
		l.mu.Unlock()
		<-on.done
		if on.err != nil {
			t.Fatal(on.err)
		}
	}
	mustChange(t, l, noop)
	if l.Image().NextProducerID() != 200 || l.Stats().Ignored != 0 || l.Image().Seq() != 22 {
		t.Errorf("next producer id %d, sequence %d, %+v", l.Image().NextProducerID(), l.Image().Seq(), l.Stats())
	}
}

func TestAnAppendThatGotLostIsRepeated(t *testing.T) {
	l := openLog(t, t.TempDir())
	// This one is made by hand and never sent, as if the stream had not got it.
	l.mu.Lock()
	b := &batch{step: &step{seq: l.top.seq + 1, done: make(chan struct{})}, id: "lost", serial: 1 << 40, started: time.Now()}
	command := meta.AppendCommand(nil, &meta.SetCluster{ClusterID: "again"})
	b.data, b.chain = l.top.chain.seal(command), l.top.chain.next(b.seq, command)
	l.flying = b
	l.mu.Unlock()
	<-b.done
	if b.err != nil || l.Stats().Resends == 0 {
		t.Errorf("%v, %+v", b.err, l.Stats())
	}
}

func TestARepeatedAppendThatNobodyTakesMayHaveBeenTakenBefore(t *testing.T) {
	l, err := Open(t.Context(), quiet(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.node.srv.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	on, err := l.add(l.top, &meta.Noop{}, 10)
	l.flying.repeated = true
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	<-on.done
	if !errors.Is(on.err, ErrUnknownOutcome) {
		t.Errorf("%v", on.err)
	}
}

func TestWithoutJetStreamAChangeFailsAtOnceAndSaysSo(t *testing.T) {
	l, err := Open(t.Context(), quiet(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.node.srv.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = l.Change(t.Context(), noop)
	if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "%!") {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("after %v", took)
	}
	sha, _ := module(9)
	if _, err := l.Module(t.Context(), sha); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a module: %v", err)
	}
	if l.Image().Seq() != 1 || l.Err() != nil {
		t.Errorf("sequence %d, %v", l.Image().Seq(), l.Err())
	}
}
