//go:build !windows

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrun/millrun/core/broker"
	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/plugins/hostile"
)

// fate is what becomes of a guest that was deployed.
type fate int8

const (
	isRefused fate = iota + 1 // at deploy
	starts                    // it does not come to an end at deploy; the one who waits gives up
	fails                     // on each record
	fails100                  // on the hundredth record of a batch
	recovers                  // it fails on many records together, and on none alone
	tame                      // it does no harm that anybody would notice
)

// hostileFates says what each guest's end is, a part of the reason that is given, and what it is given. What a guest of another
// name does is not compared with anything, but the others must not notice.
var hostileFates = map[string]struct {
	fate  fate
	why   string
	given given
}{
	"abort":             {fails, "abort: oh !", many},
	"bad-alloc":         {isRefused, "the buffer of 4096 bytes at 0xfff0 reaches beyond memory", many},
	"bad-bitmap":        {fails, "the bitmap at 0xfffffff8 reaches beyond memory", many},
	"bad-context":       {fails, "millrun.context got a pointer outside of memory", many},
	"bad-end":           {fails, "the 32 bytes at 0xfff0 reach beyond memory", many},
	"bad-flags":         {fails, "flags 0xfffe", many},
	"bad-headers":       {fails, "malformed headers", many},
	"bad-length":        {fails, "2147483647 bytes of output", many},
	"bad-log":           {fails, "millrun.log got a pointer outside of memory", many},
	"bad-output":        {fails, "output 9 of 1", many},
	"bad-partition":     {fails, "partition 255 of topic out-bad-partition", many},
	"bad-rows":          {fails, "lengths 2147483647, 2147483647, 2147483647 do not fit", many},
	"bad-time":          {fails, "timestamp -5", many},
	"bad-wants":         {isRefused, "RAW stands alone", many},
	"both":              {isRefused, "exports both of", many},
	"call-bomb":         {fails, "did not return within 10ms", quick},
	"clock-bomb":        {fails, "did not return within 10ms", quick},
	"command":           {isRefused, "it is a command", many},
	"copies-bomb":       {fails, "the rows stand for more than", few},
	"copy-bomb":         {fails, "did not return within 10ms", quick},
	"exit":              {fails, "exit code 3", many},
	"exit-start":        {isRefused, "_initialize: exit code 0", many},
	"exit-zero":         {fails, "exit code 0", many},
	"export-import":     {isRefused, "which it imports", many},
	"fail":              {fails, "no luck today", many},
	"fat-frames":        {fails, "stack overflow", few},
	"fill-bomb":         {fails, "did not return within 10ms", quick},
	"flood":             {tame, "", few},
	"flood-binary":      {tame, "", few},
	"flood-partial":     {tame, "", few},
	"giant-row":         {fails, "8388640 bytes of output", few},
	"global-import":     {isRefused, "env.base, which is no function", many},
	"greedy":            {isRefused, "starts with 128 MiB of memory", many},
	"grow-bomb":         {fails, "did not return within 10ms", quick},
	"hog":               {fails, "refused more than 64 MiB of memory", few},
	"late-beyond":       {recovers, "reaches beyond memory", many},
	"late-crooked":      {recovers, "is not aligned", many},
	"late-trap":         {recovers, "unreachable", many},
	"late-zero":         {recovers, "no buffer of", many},
	"meter-export":      {isRefused, "millrun.meter.", many},
	"meter-import":      {isRefused, "millrun.meter.", many},
	"miss-bomb":         {fails, "did not return within 10ms", quick},
	"neither":           {isRefused, "exports neither of", many},
	"overlap":           {tame, "", many},
	"pass":              {tame, "", many},
	"poll-bomb":         {fails, "did not return within 10ms", quick},
	"pull-bomb":         {fails, "wrote more than", few},
	"pull-exit":         {fails, "exit code 7", many},
	"pull-lying-buffer": {fails, "got a pointer outside of memory", many},
	"pull-lying-header": {fails, "got a pointer outside of memory", many},
	"pull-lying-write":  {fails, "got a pointer outside of memory", many},
	"pull-spin":         {fails, "did not return within 10ms", quick},
	"pull-spin-start":   {starts, "", many},
	"random-bomb":       {fails, "did not return within 10ms", quick},
	"recurse":           {fails, "stack overflow", few},
	"recurse-table":     {fails, "stack overflow", few},
	"refuse":            {isRefused, "key 'x' is not known", many},
	"rows-bomb":         {fails, "more than 10000 rows of record 0", few},
	"spin":              {fails, "did not return within 10ms", quick},
	"spin-calls":        {fails, "did not return within 10ms", quick},
	"spin-configure":    {starts, "", many},
	"spin-start":        {starts, "", many},
	"spin-wants":        {starts, "", many},
	"table-bomb":        {fails, "did not return within 10ms", quick},
	"trap-configure":    {isRefused, "unreachable", many},
	"trap-hundredth":    {fails100, "unreachable", many},
	"trap-record":       {fails, "unreachable", many},
	"trap-start":        {isRefused, "unreachable", many},
	"trap-wants":        {isRefused, "unreachable", many},
	"unknown-import":    {isRefused, "imports env.foo", many},
	"unmarked":          {isRefused, "millrun_abi_v1", many},
	"write-bomb":        {tame, "", few},
	"wrong-import":      {isRefused, "imports millrun.log as", many},
	"wrong-type":        {isRefused, "exports millrun_filter as", many},
}

// given is what a guest is given to work on.
type given int8

const (
	unknown given = iota // as quick
	many                 // a batch of manyRecords
	few                  // fewRecords: each takes a while
	quick                // fewRecords, and little time for each
)

const (
	manyRecords = 120 // of the topic in, in one batch
	fewRecords  = 6   // of the topic few
)

// TestABrokerServesBesideAllHostileGuestsAtOnce deploys every guest of plugins/hostile under every error policy beside a filter
// that behaves, all on the same inputs, with the real host. Clients are served all the while, the filter loses and repeats
// nothing, each deployment ends as its policy says and names the cause, and when they are deleted what they took is back.
func TestABrokerServesBesideAllHostileGuestsAtOnce(t *testing.T) {
	h := startHostile(t)
	policies := []string{transform.OnErrorStop, transform.OnErrorSkip, transform.OnErrorDLQ}
	if testing.Short() {
		policies = policies[1:2]
	}
	goroutines, memory := h.held()
	deployed := map[string]string{} // guest by deployment
	for _, guest := range hostile.Names() {
		for _, policy := range policies {
			if name := guest + "-" + policy; h.deployHostile(name, guest, policy) {
				deployed[name] = guest
			}
		}
	}
	t.Logf("%d guests are deployed %d times", len(hostile.Names()), len(deployed))
	h.produce("in", manyRecords)
	h.produce("few", fewRecords)
	served := h.traffic()
	for name, guest := range deployed {
		h.checkFate(name, guest, h.settled(name))
	}
	if n := served(); n == 0 {
		t.Error("nobody was served meanwhile")
	}
	h.checkHealthy()
	for name := range deployed {
		h.request(http.MethodDelete, "/v1/deployments/"+name, nil, "", http.StatusOK, nil)
	}
	h.checkGivenBack(goroutines, memory)
}

// hostileRun is a broker in this process.
type hostileRun struct {
	*testing.T
	broker *broker.Broker
	client *kgo.Client
	admin  *kadm.Client
}

func startHostile(t *testing.T) *hostileRun {
	t.Helper()
	code := newCodeFolder()
	code.in(t.TempDir())
	b, err := broker.Start(t.Context(), broker.Config{Runner: newRunner(code), Settings: map[string]string{
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	h := &hostileRun{T: t, broker: b}
	// With a linger, and flushed, what is produced at once is one batch.
	if h.client, err = kgo.NewClient(kgo.SeedBrokers(b.KafkaAddr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.client.Close)
	h.admin = kadm.NewClient(h.client)
	if _, err := h.admin.CreateTopics(t.Context(), 1, 1, nil, "in", "few", "other"); err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile("../../spec/vectors/wasm/example.wasm")
	if err != nil {
		t.Fatal(err)
	}
	h.deploy(transform.DeploySpec{Name: "healthy", Module: "example", Input: []string{"in", "few"}, Output: []string{"healthy-out"}, CreateOutputs: true,
		Config: map[string]string{"first": "y"}, Timeout: "30s"}, wasm, time.Minute)
	h.settled("healthy")
	h.traffic()() // what clients make the broker allocate is there before it is measured
	return h
}

func (h *hostileRun) request(method, path string, body io.Reader, contentType string, want int, out any) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, "http://"+h.broker.HTTPAddr()+path, body)
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		h.Fatalf("%s %s: %d %s, %v", method, path, resp.StatusCode, text, err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			h.Fatal(err)
		}
	}
}

// deploy returns the status and what is wrong; 0 if there was no answer within patience.
func (h *hostileRun) deploy(spec transform.DeploySpec, wasm []byte, patience time.Duration) (int, string) {
	h.Helper()
	body, contentType, err := deployBody(spec, wasm)
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.broker.HTTPAddr()+"/v1/deployments", body)
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if ctx.Err() != nil {
		return 0, ""
	}
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Error string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil && ctx.Err() == nil {
		h.Fatal(err)
	}
	return resp.StatusCode, answer.Error
}

// deployHostile deploys a guest; a guest that fails by time gets the shorter input and little time.
func (h *hostileRun) deployHostile(name, guest, policy string) bool {
	h.Helper()
	wasm, err := hostile.Module(guest)
	if err != nil {
		h.Fatal(err)
	}
	expected := hostileFates[guest]
	spec := transform.DeploySpec{Name: name, Module: guest, Input: []string{"in"}, Output: []string{"out-" + guest}, CreateOutputs: true, OnError: policy,
		Retries: new(int32), Timeout: "30s"}
	if expected.given != many {
		spec.Input = []string{"few"}
	}
	if expected.given == quick || expected.given == unknown {
		spec.Timeout = "10ms"
	}
	patience := time.Minute
	if expected.fate == starts {
		patience = 200 * time.Millisecond
	}
	status, reason := h.deploy(spec, wasm, patience)
	ok := map[fate]int{isRefused: http.StatusBadRequest, starts: 0}[expected.fate]
	if expected.fate != isRefused && expected.fate != starts {
		ok = http.StatusCreated
	}
	if expected.fate != 0 && status != ok || !strings.Contains(reason, expected.why) && expected.fate == isRefused {
		h.Errorf("%s: %d %s", name, status, reason)
	}
	return status == http.StatusCreated
}

func (h *hostileRun) produce(topic string, n int) {
	h.Helper()
	for i := range n {
		value := fmt.Sprintf("%c%d %s", "yn"[i%2], i, strings.Repeat("x", 200))
		h.client.Produce(h.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}, func(_ *kgo.Record, err error) {
			if err != nil {
				h.Errorf("topic %s: %v", topic, err)
			}
		})
	}
	if err := h.client.Flush(h.Context()); err != nil {
		h.Fatal(err)
	}
}

// traffic produces to a topic and consumes it until the function that it returns is called, which says how often that went
// well: every record is answered for and comes back.
func (h *hostileRun) traffic() func() int {
	h.Helper()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(h.broker.KafkaAddr()), kgo.ConsumeTopics("other"), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.DefaultProduceTopic("other"))
	if err != nil {
		h.Fatal(err)
	}
	if err := consumer.Ping(h.Context()); err != nil {
		h.Fatal(err)
	}
	stop := make(chan struct{})
	served := 0
	var done sync.WaitGroup
	done.Go(func() {
		ctx, cancel := context.WithTimeout(h.Context(), 2*time.Minute)
		defer cancel()
		for n := 0; ; n++ {
			produced := consumer.ProduceSync(ctx, &kgo.Record{Value: []byte(fmt.Sprint(n))})
			if err := produced.FirstErr(); err != nil {
				h.Errorf("producing beside hostile guests: %v", err)
				return
			}
			select {
			case <-stop:
				return
			default:
				served++
			}
		}
	})
	return func() int {
		close(stop)
		done.Wait()
		ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
		defer cancel()
		got := map[string]bool{}
		for len(got) == 0 && served > 0 {
			fetches := consumer.PollFetches(ctx)
			if ctx.Err() != nil {
				h.Error("nothing is consumed beside hostile guests")
				break
			}
			fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)] = true })
		}
		consumer.Close()
		return served
	}
}

// settled waits until a deployment has been through its input, or was stopped.
func (h *hostileRun) settled(name string) *transform.Status {
	h.Helper()
	var s transform.Status
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s = transform.Status{}
		h.request(http.MethodGet, "/v1/deployments/"+name, nil, "", http.StatusOK, &s)
		if s.State == "stopped" || s.State == "failed" || s.State == "running" && s.Lag == 0 {
			return &s
		}
	}
	h.Fatalf("%s never settles: %+v", name, s)
	return nil
}

// checkFate checks that a deployment is what its guest deserves and its policy says.
func (h *hostileRun) checkFate(name, guest string, s *transform.Status) {
	h.Helper()
	expected := hostileFates[guest]
	total := map[given]int64{many: manyRecords, few: fewRecords, quick: fewRecords}[expected.given]
	failed := map[fate]int64{fails: total, fails100: 1}[expected.fate]
	switch stopped := strings.HasSuffix(name, "-"+transform.OnErrorStop); {
	case expected.fate == 0:
	case stopped && failed > 0:
		record := "offset 0"
		if expected.fate == fails100 {
			record = "offset 99"
		}
		if s.State != "stopped" || !strings.Contains(s.Reason, expected.why) || !strings.Contains(s.Reason, record) {
			h.Errorf("%s is %s: %q; expected %q of %s", name, s.State, s.Reason, expected.why, record)
		}
	case s.State != "running" || s.Counters.Failed != failed || s.Counters.In != total:
		h.Errorf("%s is %s: %q, %d of %d records failed; expected %d of %d", name, s.State, s.Reason, s.Counters.Failed, s.Counters.In, failed, total)
	case expected.fate != tame && (s.LastError == nil || !strings.Contains(s.LastError.Message, expected.why)):
		h.Errorf("%s: the last error is %+v; expected %q", name, s.LastError, expected.why)
	case expected.fate == recovers && s.Counters.Restarts == 0:
		h.Errorf("%s has not failed", name)
	}
}

// checkHealthy checks that the filter has written each record that passes once, in order.
func (h *hostileRun) checkHealthy() {
	h.Helper()
	h.settled("healthy")
	consumer, err := kgo.NewClient(kgo.SeedBrokers(h.broker.KafkaAddr()), kgo.ConsumeTopics("healthy-out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		h.Fatal(err)
	}
	defer consumer.Close()
	ends, err := h.admin.ListEndOffsets(h.Context(), "healthy-out")
	if err != nil {
		h.Fatal(err)
	}
	end, _ := ends.Lookup("healthy-out", 0)
	var got, want []string
	for int64(len(got)) < end.Offset {
		consumer.PollFetches(h.Context()).EachRecord(func(r *kgo.Record) { got = append(got, strings.Fields(string(r.Value))[0]) })
	}
	for _, n := range []int{manyRecords, fewRecords} {
		for i := 0; i < n; i += 2 {
			want = append(want, fmt.Sprintf("y%d", i))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		h.Errorf("the healthy filter wrote %q, expected %q", got, want)
	}
}

// held is what the process holds: goroutines and resident bytes, guests' memories included, wherever they come from.
func (h *hostileRun) held() (goroutines int, bytes int64) {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	bytes = int64(m.HeapAlloc)
	if text, err := os.ReadFile("/proc/self/statm"); err == nil && !raceDetector { // else the heap has to do
		var size, resident int64
		if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
			h.Fatal(err)
		}
		bytes = resident * int64(os.Getpagesize())
	}
	return runtime.NumGoroutine(), bytes
}

// checkGivenBack waits until no more is held than before, within a bound for what a broker keeps: topics, caches, buffers.
func (h *hostileRun) checkGivenBack(goroutines int, memory int64) {
	h.Helper()
	const spareGoroutines, spareBytes = 20, 128 << 20
	var n int
	var bytes int64
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if n, bytes = h.held(); n <= goroutines+spareGoroutines && bytes <= memory+spareBytes {
			h.Logf("before: %d goroutines and %d KiB, after: %d and %d KiB", goroutines, memory>>10, n, bytes>>10)
			return
		}
	}
	stacks := make([]byte, 1<<20)
	h.Errorf("before: %d goroutines and %d KiB, after: %d and %d KiB\n%s", goroutines, memory>>10, n, bytes>>10, stacks[:runtime.Stack(stacks, true)])
}
