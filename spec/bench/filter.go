//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// stream is a pair of input topics with the same records, a short and a long one: what a record costs is the difference of
// the two runs, so that what a start costs does not count.
type stream struct {
	name    string
	value   func(i int) []byte
	records [2]int
}

// filtering compares a deployment with a program outside that does the same: kgo's consumer, bytes.Contains, kgo's producer.
func filtering(ctx context.Context, b *bench) error {
	b.table.columns = []string{"outside", "wasm"}
	s, err := b.start(ctx, "millrun")
	if err != nil {
		return err
	}
	defer func() {
		if err := s.stop(); err != nil {
			b.table.failures = append(b.table.failures, err.Error())
		}
	}()
	f := &filterBench{bench: b, server: s}
	if err := f.prepare(ctx); err != nil {
		return err
	}
	for range b.pairs {
		for _, percent := range percents {
			for _, name := range []string{streamOf(percent), wideStreamOf(percent)} {
				if err := f.pair(ctx, name, percent); err != nil {
					return err
				}
			}
		}
		for _, g := range f.guests {
			if err := f.guest(ctx, g); err != nil {
				return err
			}
		}
	}
	return nil
}

type filterBench struct {
	*bench
	server  *server
	http    string
	guests  []guest
	outputs int
}

// guest is a module, what it is given, and which records.
type guest struct {
	what, module, stream string
	config               []string
}

// percents are how many of the records pass.
var percents = []int{1, 50, 100}

// widePartitions is what the topics of the wide streams have. One member for each processor works on them; on the others,
// which have one partition, one member does.
const widePartitions = 4

func streamOf(percent int) string     { return fmt.Sprintf("pass-%d", percent) }
func wideStreamOf(percent int) string { return fmt.Sprintf("wide-%d", percent) }

func partitionsOf(topic string) int32 {
	if strings.HasPrefix(topic, "wide-") {
		return widePartitions
	}
	return 1
}

// prepare fills the inputs and builds the modules.
func (f *filterBench) prepare(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(f.server.dir, "ready.json"))
	if err != nil {
		return err
	}
	var ready struct{ HTTP string }
	if err := json.Unmarshal(text, &ready); err != nil {
		return err
	}
	f.http = ready.HTTP
	sizes := [2]int{f.scaled(500_000), f.scaled(3_000_000)}
	streams := []stream{{"json-200", func(i int) []byte { return orderOf200Bytes(i) }, sizes}}
	for _, percent := range percents {
		for _, name := range []string{streamOf(percent), wideStreamOf(percent)} {
			streams = append(streams, stream{name, func(i int) []byte { return textOf100Bytes(i, percent) }, sizes})
		}
	}
	for _, st := range streams {
		if err := f.fill(st); err != nil {
			return err
		}
	}
	return f.modules(ctx)
}

// orderOf200Bytes is one of the values that the shipped filter is measured on.
func orderOf200Bytes(i int) []byte {
	v := fmt.Appendf(nil, `{"id":%d,"customer":{"name":"Ann","country":"%s"},"total":12.5,"status":"paid","note":"`, 1_000_000+i, []string{"NL", "DE"}[i%2])
	return append(append(v, bytes.Repeat([]byte("n"), 200-len(v)-2)...), '"', '}')
}

// fill produces a stream's topics.
func (f *filterBench) fill(st stream) error {
	for k, n := range st.records {
		topic := fmt.Sprintf("%s-%d", st.name, k)
		partitions := partitionsOf(topic)
		if err := f.server.createTopic(topic, partitions); err != nil {
			return err
		}
		c, err := dial(f.server.addr)
		if err != nil {
			return err
		}
		defer c.conn.Close()
		builder, batches := record.NewBuilder(nil), int32(0)
		for i := range n {
			builder.Append(time.Now().UnixMilli(), nil, st.value(i), nil)
			if builder.Size() < 128<<10 && i < n-1 {
				continue
			}
			batch, err := builder.Build()
			if err != nil {
				return err
			}
			if err := c.produceBatch(topic, batches%partitions, batch); err != nil {
				return err
			}
			batches++
			builder.Recycle()
		}
	}
	return nil
}

func (c *client) produceBatch(topic string, partition int32, batch record.Batch) error {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = 1, 30_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	req.SetVersion(8)
	if _, err := c.conn.Write(encode(req)); err != nil {
		return err
	}
	body, err := c.receive()
	if err != nil {
		return err
	}
	return checkProduced(body)
}

// modules builds the guests in the languages whose toolchain is there, and says which are not.
func (f *filterBench) modules(ctx context.Context) error {
	_, file, _, _ := runtime.Caller(0)
	guests := filepath.Join(filepath.Dir(file), "guests")
	header := filepath.Join(filepath.Dir(file), "..", "..", "plugins", "sdk", "c")
	f.guests = []guest{
		{"shipped filter, text in 100 B", "filter", streamOf(1), []string{"text=ERROR"}},
		{"shipped filter, JSON field in 200 B", "filter", "json-200", []string{"field=customer.country", "op=eq", "value=NL"}},
	}
	module := filepath.Join(f.workDir, "contains-go.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=c-shared", "-o", module, "./contains")
	cmd.Dir, cmd.Env = guests, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the guest in Go: %w: %s", err, out)
	}
	f.guests = append(f.guests, guest{"plain Go, rows", module, streamOf(1), nil})
	for _, rows := range []string{"", "-DROWS"} {
		module := filepath.Join(f.workDir, "contains-c"+rows+".wasm")
		args := []string{"-m", "ziglang", "cc", "-target", "wasm32-freestanding", "-O3", "-msimd128", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry",
			"-Wl,-z,stack-size=65536", "-s", "-I", header, "-o", module, filepath.Join(guests, "contains.c")}
		if rows != "" {
			args = append(args, rows)
		}
		if out, err := exec.CommandContext(ctx, "python3", args...).CombinedOutput(); err != nil {
			f.table.failures = append(f.table.failures, fmt.Sprintf("no guest in C (pip install ziglang==0.13.0): %v: %s", err, out))
			return nil
		}
		what := map[string]string{"": "C with SIMD, raw records", "-DROWS": "C with SIMD, rows"}[rows]
		f.guests = append(f.guests, guest{what, module, streamOf(1), nil})
	}
	return nil
}

// cost is what one run took.
type cost struct {
	elapsed, cpu time.Duration
	guestNs      float64
}

// difference is what a record costs: the long run less the short one.
func (f *filterBench) difference(run func(topic string, records int) (cost, error), name string) (perSecond, cpuNs, guestNs float64, err error) {
	var costs [2]cost
	sizes := [2]int{f.scaled(500_000), f.scaled(3_000_000)}
	for k, n := range sizes {
		if costs[k], err = run(fmt.Sprintf("%s-%d", name, k), n); err != nil {
			return 0, 0, 0, err
		}
	}
	records := float64(sizes[1] - sizes[0])
	return records / (costs[1].elapsed - costs[0].elapsed).Seconds(), float64((costs[1].cpu - costs[0].cpu).Nanoseconds()) / records, costs[1].guestNs, nil
}

// best is the module of the comparison: the one in C if there is one.
func (f *filterBench) best() guest {
	for _, g := range f.guests {
		if strings.HasPrefix(g.what, "C with SIMD, raw") {
			return g
		}
	}
	return f.guests[0]
}

func (f *filterBench) pair(ctx context.Context, name string, percent int) error {
	g := f.best()
	rate, cpu, guestNs, err := f.difference(func(topic string, n int) (cost, error) { return f.deployed(ctx, g, topic, n) }, name)
	if err != nil {
		return err
	}
	outsideRate, outsideCPU, _, err := f.difference(func(topic string, n int) (cost, error) { return f.outside(ctx, topic, n) }, name)
	if err != nil {
		return err
	}
	which := fmt.Sprintf("%d %% pass", percent)
	if n := partitionsOf(name); n > 1 {
		which += fmt.Sprintf(", %d partitions", n)
	}
	f.table.add("records/s, "+which, "wasm", rate)
	f.table.add("records/s, "+which, "outside", outsideRate)
	f.table.add("CPU ns a record, "+which, "wasm", cpu)
	f.table.add("CPU ns a record, "+which, "outside", outsideCPU)
	f.table.add("guest ns a record, "+which, "wasm", guestNs)
	return nil
}

func (f *filterBench) guest(ctx context.Context, g guest) error {
	_, cpu, guestNs, err := f.difference(func(topic string, n int) (cost, error) { return f.deployed(ctx, g, topic, n) }, g.stream)
	if err != nil {
		return fmt.Errorf("%s: %w", g.what, err)
	}
	f.table.add(g.what+": guest ns a record", "wasm", guestNs)
	f.table.add(g.what+": CPU ns a record", "wasm", cpu)
	return nil
}

// output makes a topic for one run over an input to write to.
func (f *filterBench) output(input string) (string, error) {
	f.outputs++
	topic := "out-" + strconv.Itoa(f.outputs)
	return topic, f.server.createTopic(topic, partitionsOf(input))
}

// deployed runs a module over a topic: the time until it has had all records, the processor time until they are committed.
func (f *filterBench) deployed(ctx context.Context, g guest, topic string, records int) (c cost, err error) {
	out, err := f.output(topic)
	if err != nil {
		return c, err
	}
	args := []string{"wasm", "deploy", g.module, "--http", f.http, "--name", out, "--input", topic, "--output", out, "--from", "earliest",
		"--members", strconv.Itoa(min(runtime.NumCPU(), int(partitionsOf(topic))))}
	for _, pair := range g.config {
		args = append(args, "--config", pair)
	}
	cpu, began := f.server.threadsCPU(), time.Now()
	if text, err := exec.CommandContext(ctx, f.millrun, args...).CombinedOutput(); err != nil {
		return c, fmt.Errorf("%w: %s", err, text)
	}
	for {
		status, err := f.status(ctx, out)
		if err != nil {
			return c, err
		}
		if status.State != "starting" && status.State != "running" {
			return c, fmt.Errorf("%s is %s: %s", out, status.State, status.Reason)
		}
		if c.elapsed == 0 && status.Counters.In >= int64(records) {
			c.elapsed = time.Since(began)
		}
		if c.elapsed > 0 && status.Lag == 0 {
			c.cpu, c.guestNs = f.server.threadsCPU()-cpu, status.Counters.NsPerRecord
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if text, err := exec.CommandContext(ctx, f.millrun, "wasm", "delete", out, "--http", f.http).CombinedOutput(); err != nil {
		return c, fmt.Errorf("%w: %s", err, text)
	}
	return c, f.server.deleteTopic(out)
}

type deploymentStatus struct {
	State, Reason string
	Lag           int64
	Counters      struct {
		In          int64
		NsPerRecord float64 `json:"ns_per_record"`
	}
}

func (f *filterBench) status(ctx context.Context, name string) (s deploymentStatus, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.http+"/v1/deployments/"+name, nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// outside does the same in this process, as a member of a group of its own. Its processor time counts with the broker's.
func (f *filterBench) outside(ctx context.Context, topic string, records int) (c cost, err error) {
	out, err := f.output(topic)
	if err != nil {
		return c, err
	}
	before, began := f.server.threadsCPU()+selfCPU(), time.Now()
	cl, err := kgo.NewClient(kgo.SeedBrokers(f.server.addr), kgo.ConsumerGroup(out), kgo.ConsumeTopics(topic), kgo.DefaultProduceTopic(out),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return c, err
	}
	defer cl.Close()
	var failed error
	text := []byte("ERROR")
	for seen := 0; seen < records; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return c, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			if bytes.Contains(r.Value, text) {
				cl.Produce(ctx, &kgo.Record{Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}, func(_ *kgo.Record, err error) {
					if err != nil {
						failed = errors.Join(failed, err)
					}
				})
			}
		})
	}
	if err := errors.Join(cl.Flush(ctx), cl.CommitUncommittedOffsets(ctx)); err != nil {
		return c, err
	}
	c = cost{elapsed: time.Since(began), cpu: f.server.threadsCPU() + selfCPU() - before}
	return c, errors.Join(failed, f.server.deleteTopic(out))
}

// threadsCPU is the processor time of the broker's threads in nanoseconds' resolution, where cpu has hundredths of a second.
// What a thread used that has ended is lost; Go keeps its threads.
func (s *server) threadsCPU() time.Duration {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.pid))
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ns, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

// selfCPU is the processor time that this process has used.
func selfCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
