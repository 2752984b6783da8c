package replica

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

func TestAnEpochEndsWhereTheNextBegins(t *testing.T) {
	h := epochHistory{list: []seglog.EpochEntry{{Epoch: 2, Start: 10}, {Epoch: 5, Start: 20}, {Epoch: 6, Start: 35}}}
	tests := []struct {
		asked record.LeaderEpoch
		want  EpochEnd
		known bool
	}{
		{-1, EpochEnd{-1, -1}, false},
		{0, EpochEnd{0, 10}, true}, // before all that is known: it ended where that begins
		{2, EpochEnd{2, 20}, true},
		{3, EpochEnd{2, 20}, true},
		{4, EpochEnd{2, 20}, true},
		{5, EpochEnd{5, 35}, true},
		{6, EpochEnd{6, 50}, true},
		{7, EpochEnd{-1, -1}, false},
	}
	for _, test := range tests {
		if got, known := h.endOf(test.asked, 50); got != test.want || known != test.known {
			t.Errorf("epoch %d: %+v %v, want %+v %v", test.asked, got, known, test.want, test.known)
		}
	}
	if got, known := (&epochHistory{}).endOf(0, 0); known || got.Epoch != record.NoLeaderEpoch {
		t.Errorf("nothing known: %+v %v", got, known)
	}
}

func TestEpochHistoryIsAsInAModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for round := range 200 {
		var h epochHistory
		var log []record.LeaderEpoch // of each offset
		start, epoch := 0, record.LeaderEpoch(0)
		for i := range 60 {
			switch rnd.IntN(6) {
			case 0: // a new leader
				epoch += record.LeaderEpoch(1 + rnd.IntN(2))
				h.assign(epoch, record.Offset(len(log)))
			case 1:
				if cut := len(log) - rnd.IntN(5); cut >= start {
					log = log[:cut]
					h.truncate(record.Offset(cut))
					epoch++
					h.assign(epoch, record.Offset(cut))
				}
			case 2:
				start = min(len(log), start+rnd.IntN(4))
				h.advance(record.Offset(start))
			default:
				h.assign(epoch, record.Offset(len(log)))
				log = append(log, epoch)
			}
			for o := start; o < len(log); o++ {
				if got := h.at(record.Offset(o)); got != log[o] {
					t.Fatalf("round %d step %d: epoch of offset %d is %d, want %d; %v", round, i, o, got, log[o], h.list)
				}
			}
			for j := 1; j < len(h.list); j++ {
				if h.list[j].Epoch <= h.list[j-1].Epoch || h.list[j].Start <= h.list[j-1].Start {
					t.Fatalf("round %d step %d: %v", round, i, h.list)
				}
			}
		}
	}
}

func TestLeaderEpochsAreKeptOverStopsAndTakenFromTheLogIfLost(t *testing.T) {
	fs, o := faultOptions(t, nil)
	p := New(o)
	for epoch := range int32(4) {
		state := leaderState(epoch)
		p.setRole(roleOf(&state, 1))
		if epoch != 2 { // a leader that never wrote leaves no trace
			mustAppend(t, p, shape{n: 2})
		}
	}
	o.State.LeaderEpoch = 3
	want := "{0 2} {1 4} {1 4} {3 6}"
	check := func(when string) {
		t.Helper()
		var got []EpochEnd
		for epoch := range record.LeaderEpoch(4) {
			end, err := p.EndOffsetForEpoch(epoch)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, end)
		}
		if s := fmt.Sprint(got); s != "["+want+"]" {
			t.Errorf("%s: %s, want %s", when, s, want)
		}
	}
	check("at first")
	if b, ok := fs.ReadFile("/data/t-0/leader-epoch-checkpoint"); !ok || string(b) != "0\n3\n0 0\n1 2\n3 4\n" {
		t.Errorf("leader-epoch-checkpoint is %q", b)
	}
	p = restart(t, fs, p, &o, false)
	check("after a crash")
	p = restart(t, fs, p, &o, true)
	check("after a clean stop")
	for _, contents := range []string{"", "0\n1\n3 4\n", "0\n9\n"} {
		for _, clean := range []bool{true, false} {
			mark, err := p.Close()
			if err != nil {
				t.Fatal(err)
			}
			fs.WriteFile("/data/t-0/leader-epoch-checkpoint", []byte(contents))
			if o.Clean = nil; clean && contents != "0\n1\n3 4\n" {
				o.Clean = mark
			}
			o.RecoveryPoint = mark.EndOffset
			p = New(o)
			if err := p.Failed(); err != nil {
				t.Fatal(err)
			}
			check(fmt.Sprintf("with a file of %q, clean %v", contents, clean))
		}
	}
}

func TestALeaderEpochThatFlippedOnDiskIsDamage(t *testing.T) {
	fs, o := faultOptions(t, nil)
	p := New(o)
	a := mustAppend(t, p, shape{size: 100})
	mustAppend(t, p, shape{size: 100})
	name := "/data/t-0/" + seglog.FileName(0, seglog.LogSuffix)
	if a.Base != 0 {
		t.Fatal(a)
	}
	for _, clean := range []bool{false, true} {
		o.Clean, o.RecoveryPoint = nil, 0
		if clean {
			mark, err := p.Close()
			if err != nil {
				t.Fatal(err)
			}
			o.Clean, o.RecoveryPoint = mark, mark.EndOffset
		}
		b, _ := fs.ReadFile(name)
		b[15] ^= 4 // the leader epoch's last byte
		fs.WriteFile(name, b)
		q := New(o)
		err := q.Failed()
		if err == nil {
			_, err = q.ReadInto(nil, query(0))
		}
		if err == nil {
			t.Errorf("clean %v: a record of another epoch was served", clean)
		}
		b[15] ^= 4
		fs.WriteFile(name, b)
	}
}
