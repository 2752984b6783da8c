package broker

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kadm"
)

// TestPartitionOfGroupsIsRewrittenInPlace runs a loop that rewrites early over a real partition.
func TestPartitionOfGroupsIsRewrittenInPlace(t *testing.T) {
	b := startGroupBroker(t, "")
	compact := "compact"
	if _, err := kadm.NewClient(newClient(t, b)).CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &compact}, "state"); err != nil {
		t.Fatal(err)
	}
	p, ok := b.store.Get("state", 0)
	if !ok {
		t.Fatal("no partition")
	}
	log := groupLog{p}
	start := func() *machine.Loop[group.Op, group.Reply] {
		l, err := machine.Start(machine.Config[group.Op, group.Reply]{
			Log: log, Name: "state-0", Now: time.Now, Logger: slog.New(slog.DiscardHandler), RewriteAfter: 100,
			NewShard: func() machine.Shard[group.Op, group.Reply] {
				s, err := group.New(b.groups.group)
				if err != nil {
					panic(err)
				}
				return s
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l
	}
	l := start()
	for i := range int64(1000) {
		op := group.Commit{Group: fmt.Sprint("g", i%10), Generation: -1, RetentionMs: -1, Offsets: []group.CommitOffset{{Topic: "t", Offset: i}}}
		if _, err := l.Do(context.Background(), op); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if first, end, _ := log.Bounds(); first == 0 || end-first > 120 {
		t.Errorf("the log holds %d to %d", first, end)
	}
	l = start()
	for i := range int64(10) {
		r, err := l.Do(context.Background(), group.Fetch{Group: fmt.Sprint("g", i), All: true})
		if err != nil || r.([]group.FetchedTopic)[0].Partitions[0].Offset != 990+i {
			t.Errorf("g%d: %+v, %v", i, r, err)
		}
	}
}
