package quorum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrun/millrun/core/meta"
)

// openLog opens a log and closes it when the test ends.
func openLog(t testing.TB, dir string, change ...func(*Config)) *Log {
	t.Helper()
	l, err := tryOpen(t, dir, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func tryOpen(t testing.TB, dir string, change ...func(*Config)) (*Log, error) {
	cfg := Config{Dir: dir, NodeID: 1, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, c := range change {
		c(&cfg)
	}
	return Open(t.Context(), cfg)
}

func quiet(dir string) Config {
	return Config{Dir: dir, NodeID: 1, Logger: slog.New(slog.DiscardHandler)}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// set is a change of one broker setting: the smallest command that leaves something behind.
func set(key, value string) func(*meta.Image) (meta.Command, error) {
	return func(img *meta.Image) (meta.Command, error) {
		configs := map[string]string{key: value}
		for k, v := range img.BrokerConfigs(meta.ClusterDefault) {
			if k != key {
				configs[k] = v
			}
		}
		return meta.DecideAlterBrokerConfigs(img, meta.ClusterDefault, configs)
	}
}

func mustChange(t testing.TB, l *Log, decide func(*meta.Image) (meta.Command, error)) *meta.Image {
	t.Helper()
	img, err := l.Change(t.Context(), decide)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func noop(*meta.Image) (meta.Command, error) { return &meta.Noop{}, nil }

func TestAChangeIsThereWhenItReturnsAndAfterARestart(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	id := l.Image().ClusterID()
	if id == "" || l.Image().Seq() != 1 {
		t.Fatalf("a new log has cluster id %q, sequence %d", id, l.Image().Seq())
	}
	for i := range 20 {
		img := mustChange(t, l, set("k", fmt.Sprint(i)))
		if got := img.BrokerConfigs(meta.ClusterDefault)["k"]; got != fmt.Sprint(i) || l.Image().Seq() != uint64(i+2) {
			t.Fatalf("after change %d: %q at %d", i, got, l.Image().Seq())
		}
	}
	want, chain := l.Image().Hash(), l.Stats().Chain
	closeLog(t, l)
	l = openLog(t, dir)
	if l.Image().Hash() != want || l.Stats().Chain != chain || l.Image().ClusterID() != id {
		t.Fatalf("after a restart: cluster id %q, sequence %d", l.Image().ClusterID(), l.Image().Seq())
	}
}

func TestADecisionNotToChangeAppendsNothing(t *testing.T) {
	l := openLog(t, t.TempDir())
	mustChange(t, l, set("k", "v"))
	seq := l.Image().Seq()
	mustChange(t, l, set("k", "v"))
	mustChange(t, l, func(*meta.Image) (meta.Command, error) { return nil, ErrNothing })
	refusal := errors.New("no")
	if _, err := l.Change(t.Context(), func(*meta.Image) (meta.Command, error) { return nil, refusal }); err != refusal {
		t.Errorf("a refusal came back as %v", err)
	}
	if l.Image().Seq() != seq {
		t.Errorf("the log went from %d to %d", seq, l.Image().Seq())
	}
	big := strings.Repeat("x", meta.MaxCommandSize)
	if _, err := l.Change(t.Context(), set("big", big)); !errors.Is(err, meta.ErrTooLarge) {
		t.Errorf("a command that is too large: %v", err)
	}
	mustChange(t, l, set("big", big[:meta.MaxCommandSize-100]))
}

// Every change adds 1 to a counter that it reads: none may be lost or doubled.
func TestConcurrentChangesAreEachDecidedOnTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	count := func(img *meta.Image) (meta.Command, error) {
		n := len(img.BrokerConfigs(meta.ClusterDefault)["n"])
		return set("n", strings.Repeat("|", n+1))(img)
	}
	const callers, each = 16, 25
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			last := 0
			for range each {
				img, err := l.Change(t.Context(), count)
				if err != nil {
					t.Error(err)
					return
				}
				if n := len(img.BrokerConfigs(meta.ClusterDefault)["n"]); n <= last {
					t.Errorf("counted %d after %d", n, last)
				} else {
					last = n
				}
			}
		})
	}
	wg.Wait()
	if n := len(l.Image().BrokerConfigs(meta.ClusterDefault)["n"]); n != callers*each {
		t.Errorf("%d changes counted to %d", callers*each, n)
	}
	if messages := l.Image().Seq(); messages > callers*each/2 {
		t.Errorf("%d changes took %d appends", callers*each, messages)
	}
	want := l.Image().Hash()
	closeLog(t, l)
	if l = openLog(t, dir); l.Image().Hash() != want {
		t.Error("a restart gives another image")
	}
}

func TestTheReconcilerSeesEveryStateInOrderBeforeTheChangeReturns(t *testing.T) {
	l := openLog(t, t.TempDir())
	mustChange(t, l, set("before", "1"))
	var seen []uint64 // owned by the reconciler; read after Change has returned
	l.Follow(func(before, after *meta.Image) {
		if len(seen) == 0 && before.Seq() != 0 {
			t.Errorf("the first call is from %d", before.Seq())
		}
		if n := len(seen); n > 0 && before.Seq() != seen[n-1] {
			t.Errorf("from %d after %d", before.Seq(), seen[n-1])
		}
		if l.Image().Seq() >= after.Seq() && len(seen) > 0 {
			t.Errorf("image %d is public before it is reconciled", after.Seq())
		}
		seen = append(seen, after.Seq())
	})
	if len(seen) != 1 || seen[0] != 2 {
		t.Fatalf("the first call saw %v", seen)
	}
	for i := range 10 {
		img := mustChange(t, l, set("k", fmt.Sprint(i)))
		if seen[len(seen)-1] != img.Seq() {
			t.Fatalf("the change at %d returned when %v were reconciled", img.Seq(), seen)
		}
	}
}

func TestAChangeWhoseContextEndsSaysThatItsOutcomeIsUnknown(t *testing.T) {
	l := openLog(t, t.TempDir())
	hold := make(chan struct{})
	first := true
	l.Follow(func(before, after *meta.Image) {
		if !first {
			<-hold
		}
		first = false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := l.Change(ctx, set("k", "v"))
	if !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := l.Change(ctx, set("k", "v")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("nothing was appended, and: %v", err)
	}
	close(hold)
	mustChange(t, l, noop)
	if l.Image().BrokerConfigs(meta.ClusterDefault)["k"] != "v" {
		t.Error("the change has not come into force")
	}
}

func TestAfterCloseEverythingIsRefused(t *testing.T) {
	l := openLog(t, t.TempDir())
	closeLog(t, l)
	closeLog(t, l)
	if _, err := l.Change(t.Context(), noop); !errors.Is(err, ErrClosed) {
		t.Errorf("change: %v", err)
	}
	if _, err := l.Module(t.Context(), "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("module: %v", err)
	}
	l.Follow(func(_, _ *meta.Image) { t.Error("followed") })
	if !errors.Is(l.Err(), ErrClosed) {
		t.Errorf("err: %v", l.Err())
	}
	<-l.Stopped()
}

func TestCloseIsQuickAndLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	l := openLog(t, t.TempDir())
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := l.Change(t.Context(), noop); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	closeLog(t, l)
	took := time.Since(start)
	close(stop)
	wg.Wait()
	t.Logf("closed in %v", took)
	after := runtime.NumGoroutine()
	for range 100 { // goroutines that have returned may be counted a moment longer
		if after <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
		after = runtime.NumGoroutine()
	}
	if after > before {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", after, before, buf[:runtime.Stack(buf, true)])
	}
}

func TestNothingIsSaidOnAQuietStartAndStop(t *testing.T) {
	var out bytes.Buffer
	l, err := Open(t.Context(), Config{Dir: t.TempDir(), NodeID: 1, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	mustChange(t, l, noop)
	closeLog(t, l)
	if out.Len() > 0 {
		t.Errorf("said:\n%s", out.String())
	}
}

func TestABadConfigurationIsRefused(t *testing.T) {
	for _, cfg := range []Config{{}, {Dir: "x"}, {Dir: "x", Logger: slog.Default(), NodeID: -1}} {
		if l, err := Open(t.Context(), cfg); err == nil {
			l.Close()
			t.Errorf("%+v was accepted", cfg)
		}
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(t, file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a folder: %v", err)
	}
}

// A full disk that nothing can be deleted from can only be cleared by hand.
func TestAFullDiskTakesAChangeThatMakesRoomFromTheReserve(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	file := filepath.Join(dir, "meta", "reserve")
	if size := fileSize(t, file); size != reserveSize {
		t.Fatalf("%d bytes are reserved", size)
	}
	var free atomic.Int64 // without the reserve
	l.mu.Lock()
	l.free = func(string) (int64, error) { return free.Load() + reserveSize - fileSize(t, file), nil }
	l.mu.Unlock()
	grows := func(*meta.Image) (meta.Command, error) { return &meta.Noop{}, nil }
	for range 2 {
		if _, err := l.Change(t.Context(), grows); !errors.Is(err, meta.ErrNoSpace) {
			t.Fatalf("a change that makes no room, on a full disk: %v", err)
		}
		mustChange(t, l, set("a", fmt.Sprint(fileSize(t, file))))
		free.Add(-reserveSize / 2) // somebody fills it at once
	}
	if _, err := l.Change(t.Context(), set("a", "2")); !errors.Is(err, meta.ErrNoSpace) {
		t.Fatalf("without anything left: %v", err)
	}
	free.Store(1 << 40)
	mustChange(t, l, set("a", "3"))
	if size := fileSize(t, file); size != reserveSize {
		t.Fatalf("with space again %d bytes are reserved", size)
	}
}

func fileSize(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestAFullDiskRefusesChangesUntilThereIsSpaceAgain(t *testing.T) {
	l := openLog(t, t.TempDir())
	before := mustChange(t, l, set("a", "1")).Seq()
	var free atomic.Int64
	l.mu.Lock()
	l.free = func(string) (int64, error) { return free.Load(), nil }
	l.mu.Unlock()
	free.Store(minFree - 1)
	_, err := l.Change(t.Context(), func(*meta.Image) (meta.Command, error) { return &meta.Noop{}, nil })
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, meta.ErrNoSpace) || !strings.Contains(err.Error(), l.dir) {
		t.Errorf("on a full disk: %v", err)
	}
	if _, err := l.Change(t.Context(), func(*meta.Image) (meta.Command, error) { return nil, nil }); err != nil {
		t.Errorf("nothing to change, on a full disk: %v", err)
	}
	if seq := l.Image().Seq(); seq != before {
		t.Errorf("the image went on to %d from %d", seq, before)
	}
	free.Store(minFree)
	if got := mustChange(t, l, set("a", "3")).BrokerConfigs(meta.ClusterDefault)["a"]; got != "3" {
		t.Errorf("with space again the change is %q", got)
	}
}
