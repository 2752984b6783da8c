//go:build !windows

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/plugins/hostile"
)

func TestNumbersForPeopleHaveUnits(t *testing.T) {
	for want, got := range map[string]string{
		"0": amount(0), "7": amount(7), "0.52": amount(0.52), "1.2": amount(1.234), "42": amount(42.4), "999": amount(999), "1.0k": amount(1001),
		"1.2k": amount(1234), "340k": amount(340_123), "5.1M": amount(5_100_000), "1k/s": perSecond(1000), "0 B": byteCount(0),
		"64 KiB": byteCount(64 << 10), "1.5 MiB": byteCount(3 << 19), "12 GiB": byteCount(12 << 30), "0 ns": nanoseconds(0), "850 ns": nanoseconds(850),
		"3.4 us": nanoseconds(3400), "12 ms": nanoseconds(12e6), "1.5 s": nanoseconds(1.5e9), "just now": age(time.Millisecond), "59 s ago": age(59 * time.Second),
		"5 min ago": age(5*time.Minute + 7*time.Second), "3 h ago": age(3 * time.Hour), "9 days ago": age(9*24*time.Hour + time.Hour),
	} {
		if got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

func sampleStatus() *transform.Status {
	partition, offset := int32(1), int64(99)
	s := &transform.Status{Partitions: []transform.PartitionStatus{{Topic: "orders", Partition: 0, Offset: 7, End: 1007, Lag: 1000}, {Topic: "orders", Partition: 1}}}
	s.Name, s.State, s.Reason = "paid", "stopped", strings.Repeat("the module does not do what it is asked for; ", 4)
	s.Inputs, s.Outputs, s.PartitionCount, s.Lag = []string{"orders"}, []string{"orders-paid"}, 2, 1000
	s.Module = transform.ModuleStatus{Name: "filter", Version: 3, SHA256: "0123456789abcdef"}
	s.Rates, s.Memory = transform.Rates{In: 1234, Out: 12}, transform.MemoryStatus{Bytes: 12 << 20, Instances: 3}
	s.Counters = transform.Counters{In: 123456, NsPerRecord: 3400, FuelPerRecord: 1200, Restarts: 4}
	s.Members = []transform.MemberStatus{{ID: "inside", Local: true, Partitions: []transform.MemberPartition{{Topic: "orders", Partition: 1}}}}
	s.LastError = &transform.ErrorStatus{Time: time.Unix(1_700_000_000, 0).UTC(), Message: "trap \x1b[2Jgone", Topic: "orders", Partition: &partition, Offset: &offset}
	return s
}

func TestDeploymentsAreShownWithinTheWidthOfTheTerminal(t *testing.T) {
	s := sampleStatus()
	now := s.LastError.Time.Add(90 * time.Second)
	for width, want := range map[string][]string{
		"":   {"filter", "orders -> orders-paid", "1.2k", "12 MiB", "3.4 us", "90 s ago", "FUEL/REC", "RESTARTS"},
		"80": {"paid", "stopped", "1.2k", "LAG"},
		"20": {"paid", "stopped"},
	} {
		t.Setenv("COLUMNS", width)
		var list, described bytes.Buffer
		if err := printDeployments(&list, []transform.Summary{s.Summary, {Name: "other", State: "running"}}, now, widthOf(&list)); err != nil {
			t.Fatal(err)
		}
		if err := printDeployment(&described, s, now); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(list.String(), w) {
				t.Errorf("width %q: no %q in\n%s", width, w, &list)
			}
		}
		if strings.ContainsRune(described.String(), '\x1b') {
			t.Errorf("what a guest says reaches the terminal as it is: %q", described.String())
		}
		if width != "80" {
			continue
		}
		for _, line := range lines(list.String() + described.String()) {
			if len(line) > 80 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
	}
	var described bytes.Buffer
	printDeployment(&described, s, now)
	for _, w := range []string{"version 3", "1.2k/s", "123456", "3.4 us and 1.2k units of fuel", "12 MiB in 3 instances", "orders/1 offset 99: trap", "2 partitions, 1 member", "this broker"} {
		if !strings.Contains(strings.Join(strings.Fields(described.String()), " "), w) {
			t.Errorf("no %q in\n%s", w, &described)
		}
	}
}

func TestWhoFollowsTheLogsWaitsForTheFirstLine(t *testing.T) {
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "in")
	wasm, err := hostile.Module("fail")
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/fail.wasm"
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, p, exitFailed, []string{"there is no deployment f"}, "wasm", "logs", "f")
	follower := startVerb(t, p, "wasm", "logs", "f", "-f")
	must(t, p, "", "wasm", "deploy", file, "--name", "f", "--input", "in", "--output", "out", "--create-outputs", "--on-error", "skip", "--retries", "0")
	must(t, p, "1\n", "produce", "in")
	follower.until("no luck today")
	must(t, p, "2\n3\n", "produce", "in")
	follower.until("no luck today", "no luck today", "no luck today")
	if code := follower.interrupt(); code != 0 {
		t.Errorf("Ctrl-C ends it with %d", code)
	}
	if got := lines(must(t, p, "", "wasm", "logs", "f")); len(got) < 3 {
		t.Errorf("the history: %q", got)
	}
}
