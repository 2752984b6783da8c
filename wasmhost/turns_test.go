package wasmhost

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

func TestWhoWaitsForATurnGetsItOrGivesUp(t *testing.T) {
	turns := newTurns(1)
	if !turns.take(context.Background()) || turns.wanted() {
		t.Fatal("the first turn is not there, or is wanted by somebody")
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if turns.take(gone) {
		t.Error("a second turn of one")
	}
	got := make(chan bool)
	go func() { got <- turns.take(context.Background()) }()
	for !turns.wanted() {
		time.Sleep(time.Millisecond)
	}
	turns.give()
	if !<-got || turns.wanted() {
		t.Error("who waited has no turn, or waits still")
	}
	none := newTurns(0)
	if !none.take(gone) || none.wanted() {
		t.Error("where nothing is bounded somebody waits")
	}
	none.give()
}

// With one turn for all, whatever a guest does the others get theirs, and in the end all of them are back.
func TestAGuestThatSpinsDoesNotKeepOthersFromTheirTurn(t *testing.T) {
	h := New(Config{AtOnce: 1})
	defer h.Close(context.Background())
	instance := func(name string, timeout time.Duration) *Instance {
		p, err := h.Load(context.Background(), Spec{Wasm: guest(t, name), Name: name, Outputs: 1, Timeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		return start(t, p, nil)
	}
	spins, pass := []*Instance{instance("spin", time.Hour), instance("spin", time.Hour)}, instance("pass", 0)
	short, trap := instance("spin", 20*time.Millisecond), instance("trap-record", 0)
	ctx, cancel := context.WithCancel(context.Background())
	var spinning sync.WaitGroup
	for _, i := range spins {
		spinning.Go(func() {
			if _, err := i.Filter(ctx, abi.Call{}, make([]byte, 100), 1); !errors.Is(err, context.Canceled) {
				t.Errorf("a guest that spins ended with %v", err)
			}
		})
	}
	for len(h.turns.taken) == 0 || !h.turns.wanted() { // both are at it
		time.Sleep(time.Millisecond)
	}
	for range 100 {
		if _, err := pass.Filter(context.Background(), abi.Call{}, make([]byte, 100), 1); err != nil {
			t.Fatal(err)
		}
	}
	var e *Error
	if _, err := short.Filter(context.Background(), abi.Call{}, make([]byte, 100), 1); !errors.As(err, &e) || e.Kind != Timeout {
		t.Errorf("a guest whose time is over, in turns with others: %v", err)
	}
	if _, err := trap.Filter(context.Background(), abi.Call{}, make([]byte, 100), 1); !errors.As(err, &e) || e.Kind != Trap {
		t.Errorf("a guest that traps: %v", err)
	}
	cancel()
	spinning.Wait()
	if n := len(h.turns.taken); n != 0 {
		t.Errorf("%d turns were not given back", n)
	}
}

// A guest that pulls is parked between calls, and has no turn meanwhile.
func TestAParkedGuestHasNoTurn(t *testing.T) {
	h := New(Config{AtOnce: 1})
	defer h.Close(context.Background())
	p, err := h.Load(context.Background(), Spec{Wasm: guest(t, "pull-copy"), Name: "m", Outputs: 1})
	if err != nil {
		t.Fatal(err)
	}
	start(t, p, nil)
	if n := len(h.turns.taken); n != 0 {
		t.Errorf("%d turns are taken", n)
	}
}
