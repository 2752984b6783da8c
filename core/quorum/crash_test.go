package quorum

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/core/meta"
)

const crashWorkers = 4

// TestMain runs this binary as the process that is killed, if the environment names a folder.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MILLRUN_CRASH_DIR"); dir != "" {
		if err := appendUntilKilled(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendUntilKilled has each worker write 0, 1, 2, ... behind what is there, and tell when a number was acknowledged.
func appendUntilKilled(dir string) error {
	cfg := quiet(dir)
	cfg.SnapshotEvery = 50
	l, err := Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	fmt.Println("open")
	var wg sync.WaitGroup
	for w := range crashWorkers {
		wg.Go(func() {
			for {
				var n int
				_, err := l.Change(context.Background(), func(img *meta.Image) (meta.Command, error) {
					n = len(numbers(img, w))
					return set(worker(w), img.BrokerConfigs(meta.ClusterDefault)[worker(w)]+fmt.Sprint(n, ","))(img)
				})
				if err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println("acked", w, n)
			}
		})
	}
	wg.Wait()
	return nil
}

func worker(w int) string { return fmt.Sprint("worker", w) }

func numbers(img *meta.Image, w int) []string {
	all := strings.Split(img.BrokerConfigs(meta.ClusterDefault)[worker(w)], ",")
	return all[:len(all)-1]
}

func TestWhatWasAcknowledgedBeforeAKillIsThereOnceAndInOrder(t *testing.T) {
	dir := t.TempDir()
	acked := [crashWorkers]int{-1, -1, -1, -1}
	for round := range 12 {
		runAndKill(t, dir, time.Duration(rand.IntN(120))*time.Millisecond, &acked)
		l := openLog(t, dir, every(50))
		for w := range crashWorkers {
			got := numbers(l.Image(), w)
			for i, n := range got {
				if n != fmt.Sprint(i) {
					t.Fatalf("round %d: worker %d has %v", round, w, got)
				}
			}
			if len(got)-1 < acked[w] || len(got)-1 > acked[w]+1 {
				t.Fatalf("round %d: worker %d was acknowledged %d and has %d", round, w, acked[w], len(got)-1)
			}
			acked[w] = len(got) - 1
		}
		closeLog(t, l)
	}
	if acked[0] < 10 {
		t.Errorf("only %v were acknowledged in all", acked)
	}
}

// runAndKill runs the child, kills it a while after it has opened the log, and notes what it said.
func runAndKill(t *testing.T, dir string, after time.Duration, acked *[crashWorkers]int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "MILLRUN_CRASH_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var w, n int
		switch line := lines.Text(); {
		case line == "open":
			killed.Reset(after)
		case strings.HasPrefix(line, "error"):
			t.Error(line)
		default:
			if _, err := fmt.Sscanf(line, "acked %d %d", &w, &n); err != nil {
				continue // the line that the kill cut
			}
			if n != acked[w]+1 {
				t.Errorf("worker %d was acknowledged %d after %d", w, n, acked[w])
			}
			acked[w] = n
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}
