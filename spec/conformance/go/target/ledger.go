package target

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Key is the key of the load's record i: each seventh has none.
func Key(i int) []byte {
	if i%7 == 0 {
		return nil
	}
	return []byte("key-" + strconv.Itoa(i))
}

// Value is the value of the load's record i: its number, then 0 to 199 bytes that follow from it.
func Value(i int) []byte {
	v := fmt.Appendf(nil, "%07d ", i)
	for n := i * 2654435761 >> 3 % 200; n > 0; n-- {
		v = append(v, 'a'+byte((i*31+n*n)%26))
	}
	return v
}

// Ledger knows every record of a load of n, and ticks off what the members of a group have processed.
type Ledger struct {
	mu    sync.Mutex
	seen  []int          // guarded by mu: how often each record came
	left  int            // guarded by mu: records that have not come yet
	by    map[string]int // guarded by mu: records by member
	wants []want         // guarded by mu
}

type want struct {
	member  string
	n       int
	reached chan struct{}
}

// everyone is the member of a want that is met when no record is missing.
const everyone = ""

// NewLedger expects records 0 to n-1.
func NewLedger(n int) *Ledger { return &Ledger{seen: make([]int, n), left: n, by: map[string]int{}} }

// Reached is closed once the member has processed n records.
func (l *Ledger) Reached(member string, n int) <-chan struct{} { return l.want(member, n) }

// All is closed once every record has come.
func (l *Ledger) All() <-chan struct{} { return l.want(everyone, 0) }

func (l *Ledger) want(member string, n int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := want{member, n, make(chan struct{})}
	l.wants = append(l.wants, w)
	l.settle()
	return w.reached
}

// settle closes the channels of the wants that are met.
func (l *Ledger) settle() {
	kept := l.wants[:0]
	for _, w := range l.wants {
		if w.member == everyone && l.left == 0 || w.member != everyone && l.by[w.member] >= w.n {
			close(w.reached)
			continue
		}
		kept = append(kept, w)
	}
	l.wants = kept
}

// Took says that the member processed this record. A record that is not one of the load, byte by byte, is an error.
func (l *Ledger) Took(member string, key, value []byte) error {
	if len(value) < 8 {
		return fmt.Errorf("value %q is none of the load's", value)
	}
	i, err := strconv.Atoi(string(value[:7]))
	if err != nil || i < 0 || i >= len(l.seen) || !bytes.Equal(value, Value(i)) {
		return fmt.Errorf("value %q is none of the load's", value)
	}
	if want := Key(i); !bytes.Equal(key, want) || (key == nil) != (want == nil) {
		return fmt.Errorf("record %d has key %q (null: %t)", i, key, key == nil)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[i]++
	l.by[member]++
	if l.seen[i] == 1 {
		l.left--
	}
	l.settle()
	return nil
}

// Check demands that every record came, and at most `again` of them more than once. Two members took part.
func (l *Ledger) Check(t testing.TB, again int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	missing, twice, first := 0, 0, -1
	for i, n := range l.seen {
		switch {
		case n == 0 && missing == 0:
			first = i
			missing++
		case n == 0:
			missing++
		case n > 1:
			twice++
		}
	}
	if missing > 0 || twice > again || len(l.by) < 2 {
		t.Errorf("%d of %d records are missing (the first: %d), %d came more than once (at most %d may); by member: %v", missing, len(l.seen), first, twice, again, l.by)
	}
	t.Logf("%d records, %d more than once, by member: %v", len(l.seen), twice, l.by)
}

// Closed says whether the channel is.
func Closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Await waits for the channel, and fails the test when the context ends first.
func Await[T any](t testing.TB, ctx context.Context, what string, c <-chan T) {
	t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatalf("%s: %v", what, ctx.Err())
	}
}
