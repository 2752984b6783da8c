package franz

import (
	"bufio"
	"context"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/twmb/franz-go/pkg/kgo"
)

// deployment is the shipped filter between two topics of four partitions, and the load that it and outside members of its group share.
type deployment struct {
	t             testing.TB
	ctx           context.Context
	name          string // also the group's
	input, output string
	ledger        *target.Ledger
	sent          int
}

const partitionsOfInput = 4

func deploy(t testing.TB, n int) *deployment {
	t.Helper()
	binary, ctx := target.Binary(t), target.Context(t)
	d := &deployment{t, ctx, target.Name(t), target.Topic(t, partitionsOfInput), target.Topic(t, partitionsOfInput), target.NewLedger(n), 0}
	d.millrun("wasm", "deploy", "filter", "--name", d.name, "--input", d.input, "--output", d.output, "--config", "text=00")
	t.Cleanup(func() {
		if out, err := exec.Command(binary, "wasm", "delete", d.name).CombinedOutput(); err != nil {
			t.Errorf("wasm delete: %v\n%s", err, out)
		}
	})
	all := map[string]map[int32]kgo.Offset{d.output: {}}
	for p := range int32(partitionsOfInput) {
		all[d.output][p] = kgo.NewOffset().AtStart()
	}
	reader := client(t, kgo.ConsumePartitions(all))
	reading, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // what comes out is what the module has processed
		defer close(done)
		d.takeAll(reading, reader, "wasm", nil)
	}()
	t.Cleanup(func() { stop(); <-done })
	return d
}

func (d *deployment) millrun(args ...string) string {
	d.t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(d.ctx, target.Binary(d.t), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("millrun %v: %v\n%s", args, err, &stderr)
	}
	return string(out)
}

// takeAll ticks off all that the client reads, until the context ends.
func (d *deployment) takeAll(ctx context.Context, cl *kgo.Client, name string, after func([]*kgo.Record)) {
	for {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		if err := fs.Err(); err != nil {
			d.t.Errorf("%s: %v", name, err)
			return
		}
		fs.EachRecord(func(r *kgo.Record) { d.took(name, r.Key, r.Value) })
		if after != nil {
			after(fs.Records())
		}
	}
}

func (d *deployment) took(name string, key, value []byte) {
	if err := d.ledger.Took(name, key, value); err != nil {
		d.t.Errorf("%s: %v", name, err)
	}
}

// send produces the next n records of the load, equally many to each partition, and if the filter alone is to see them as many that it
// drops.
func (d *deployment) send(n int, dropped bool) {
	d.t.Helper()
	var rs []*kgo.Record
	for i := d.sent; i < d.sent+n; i++ {
		p := int32(i % partitionsOfInput)
		rs = append(rs, &kgo.Record{Topic: d.input, Partition: p, Key: target.Key(i), Value: target.Value(i)})
		if dropped {
			rs = append(rs, &kgo.Record{Topic: d.input, Partition: p, Value: []byte("dropped")})
		}
	}
	d.sent += n
	produce(d.t, d.ctx, client(d.t), rs...)
}

// holds demands that the Wasm member holds n partitions of the group's now.
func (d *deployment) holds(n int) {
	d.t.Helper()
	var got struct{ State string }
	if err := json.Unmarshal([]byte(d.millrun("wasm", "describe", d.name, "-o", "json")), &got); err != nil {
		d.t.Fatal(err)
	}
	held := -1
	described, err := target.Admin(d.t).DescribeGroups(d.ctx, d.name)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, m := range described[d.name].Members {
		if a, ok := m.Assigned.AsConsumer(); ok && m.ClientID == "millrun-wasm-"+d.name && len(a.Topics) == 1 {
			held = len(a.Topics[0].Partitions)
		}
	}
	if held != n || got.State != "running" {
		d.t.Errorf("the Wasm member holds %d partitions of the group, want %d; the deployment is %s", held, n, got.State)
	}
}

func (d *deployment) await(what, member string, n int) {
	d.t.Helper()
	target.Await(d.t, d.ctx, what, d.ledger.Reached(member, n))
}

func TestOutsideMembersTakeHalfOfAWasmGroupAndGiveItBack(t *testing.T) {
	t.Parallel()
	const n = 2000
	d := deploy(t, 5*n)
	d.send(n, true)
	d.await("the module processes everything", "wasm", n)
	d.holds(partitionsOfInput)

	d.besideKgo(n)
	d.send(n, true)
	d.await("all goes to the module again", "wasm", 2*n+n/2)
	d.holds(partitionsOfInput)

	if _, err := exec.LookPath("kcat"); err == nil {
		d.besideKcat(n)
	} else {
		t.Log("without a kcat member: kcat is not installed")
		d.send(n, false)
	}
	d.send(n, true)
	target.Await(t, d.ctx, "every record is processed", d.ledger.All())
	d.holds(partitionsOfInput)
	d.ledger.Check(t, 0)
}

// besideKgo sends n records while a kgo member is in the group, half of which are the member's.
func (d *deployment) besideKgo(n int) {
	d.t.Helper()
	m := watch(d.t, d.name, d.input, kgo.DisableAutoCommit())
	m.holds(d.t, d.ctx, partitionsOfInput/2)
	d.holds(partitionsOfInput / 2)
	polling, stop := context.WithCancel(d.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.takeAll(polling, m.Client, "kgo", func(rs []*kgo.Record) {
			if err := m.CommitRecords(d.ctx, rs...); err != nil {
				d.t.Errorf("kgo: commit: %v", err)
			}
		})
	}()
	d.send(n, false)
	d.await("the kgo member takes half", "kgo", n/2)
	d.await("the module takes the other half", "wasm", n+n/2)
	stop()
	<-done
	m.LeaveGroup()
}

// besideKcat does the same with kcat, whose assignors are eager.
func (d *deployment) besideKcat(n int) {
	d.t.Helper()
	cmd := exec.CommandContext(d.ctx, "kcat", "-b", target.Bootstrap(d.t), "-G", d.name, "-u", "-Z", "-K", "\t", "-X", "broker.address.family=v4",
		"-X", "auto.offset.reset=error", d.input)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan struct{}, 2)
	assigned := make(chan struct{}, 100)
	go func() { // kcat says which partitions it has been given
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.Contains(lines.Text(), "assign") && strings.Count(lines.Text(), "[") == partitionsOfInput/2 {
				assigned <- struct{}{}
			}
		}
		ended <- struct{}{}
	}()
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			key, value, _ := strings.Cut(lines.Text(), "\t")
			if key == "NULL" {
				d.took("kcat", nil, []byte(value))
			} else {
				d.took("kcat", []byte(key), []byte(value))
			}
		}
		ended <- struct{}{}
	}()
	target.Await(d.t, d.ctx, "kcat is given half", assigned)
	d.holds(partitionsOfInput / 2)
	d.send(n, false)
	d.await("kcat takes half", "kcat", n/2)
	d.await("the module takes the other half", "wasm", 3*n)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil { // it commits, and leaves
		d.t.Fatal(err)
	}
	<-ended
	<-ended
	if err := cmd.Wait(); err != nil {
		d.t.Logf("kcat: %v", err)
	}
}

func TestAResetOfAPausedWasmGroupMakesItProcessAgain(t *testing.T) {
	t.Parallel()
	const n = 400
	d := deploy(t, n)
	d.send(n, true)
	d.await("the module processes everything", "wasm", n)
	d.millrun("wasm", "pause", d.name)
	d.millrun("group", "reset", d.name, "--topic", d.input, "--to", "earliest")
	d.millrun("wasm", "resume", d.name)
	d.await("it processes everything again", "wasm", 2*n)
	out := d.millrun("group", "describe", d.name)
	if !strings.Contains(out, "millrun-wasm-"+d.name) {
		t.Errorf("group describe shows no Wasm member:\n%s", out)
	}
	ends, err := target.Admin(t).ListEndOffsets(d.ctx, d.output)
	if err != nil || ends[d.output][0].Offset != 2*n/partitionsOfInput {
		t.Errorf("partition 0 of the output ends at %s, %v", strconv.FormatInt(ends[d.output][0].Offset, 10), err)
	}
}
