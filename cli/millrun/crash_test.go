//go:build !windows

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKilledTwentyTimesTheBrokerLosesAndRepeatsNothing produces with one idempotent client over twenty lives of a
// broker, each ended by kill -9 at a random moment: whatever was acknowledged is there, once, in order.
func TestKilledTwentyTimesTheBrokerLosesAndRepeatsNothing(t *testing.T) {
	const kills, partitions = 20, 3
	address, dir := freeAddress(t), filepath.Join(t.TempDir(), "data")
	args := []string{"--kafka", address, "--http", "127.0.0.1:0", "--data", dir, "--set", "log.segment.bytes=1048576"}
	p := startDev(t, args...)
	must(t, p, "", "topic", "create", "t", "-p", strconv.Itoa(partitions))

	w := newWriter(t, address, partitions)
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	for range kills {
		time.Sleep(time.Duration(50+random.IntN(250)) * time.Millisecond)
		p.kill()
		p = startDev(t, args...)
	}
	acked := w.finish(t)
	must(t, p, "", "group", "list") // it serves
	total := 0
	for partition := range partitions {
		got := readPartition(t, address, int32(partition))
		checkHistory(t, partition, got, acked[partition])
		total += len(acked[partition])
	}
	if total == 0 {
		t.Fatal("nothing was acknowledged in twenty lives")
	}
	t.Logf("%d records were acknowledged in %d lives", total, kills+1)
}

// writer produces rising numbers to each partition until it is told to finish.
type writer struct {
	client *kgo.Client
	stop   context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	acked  []map[int]int64 // per partition: value, the offset it was acknowledged at
	failed error
}

func newWriter(t *testing.T, address string, partitions int) *writer {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(2000), kgo.MetadataMinAge(10*time.Millisecond), kgo.RequestRetries(10_000), kgo.RetryTimeout(time.Minute),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, stop := context.WithCancel(context.Background())
	w := &writer{client: client, stop: stop, acked: make([]map[int]int64, partitions)}
	for p := range partitions {
		w.acked[p] = map[int]int64{}
	}
	w.done.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			partition, value := n%partitions, n/partitions
			client.Produce(context.Background(), &kgo.Record{Partition: int32(partition), Value: []byte(strconv.Itoa(value))}, func(r *kgo.Record, err error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if err != nil {
					w.failed = err
					return
				}
				w.acked[partition][value] = r.Offset
			})
			time.Sleep(100 * time.Microsecond)
		}
	})
	return w
}

func (w *writer) finish(t *testing.T) []map[int]int64 {
	t.Helper()
	w.stop()
	w.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.client.Flush(ctx); err != nil {
		t.Fatalf("flushing after the last restart: %v", err)
	}
	if w.failed != nil {
		t.Fatalf("a record failed for good: %v", w.failed)
	}
	return w.acked
}

func readPartition(t *testing.T, address string, partition int32) []string {
	t.Helper()
	p := &process{Kafka: address}
	return lines(must(t, p, "", "consume", "t", "-p", fmt.Sprint(partition), "--exit"))
}

// checkHistory checks one partition: the values are 0, 1, 2 and so on, each at the offset that was acknowledged for it.
// Records start at offset 0 and nothing is removed, so a value's place in got is its offset.
func checkHistory(t *testing.T, partition int, got []string, acked map[int]int64) {
	t.Helper()
	for i, v := range got {
		if v != strconv.Itoa(i) {
			t.Fatalf("partition %d, offset %d holds %s: something is lost, doubled or out of order", partition, i, v)
		}
	}
	for value, offset := range acked {
		if value >= len(got) || offset != int64(value) {
			t.Fatalf("partition %d: value %d was acknowledged at offset %d; the log holds %d records", partition, value, offset, len(got))
		}
	}
}

func TestCtrlCStopsCleanlyWithinTwoSeconds(t *testing.T) {
	skipIfShort(t)
	dir := filepath.Join(t.TempDir(), "data")
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", dir)
	must(t, p, sequence(1, 1000), "produce", "t")
	must(t, p, "", "wasm", "deploy", "filter", "--name", "f", "--input", "t", "--output", "out", "--create-outputs", "--config", "text=7")
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Kafka), kgo.ConsumeTopics("t"), kgo.ConsumerGroup("g")) // holds a long poll open
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.PollFetches(t.Context())
	if err := p.interrupt(); err != nil {
		t.Fatalf("Ctrl-C: %v: %s", err, p.out)
	}
	again := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", dir)
	if got := lines(must(t, again, "", "consume", "t", "--exit")); len(got) != 1000 {
		t.Errorf("after a clean stop %d of 1000 records are there", len(got))
	}
}
