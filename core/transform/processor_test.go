package transform

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// bench is a processor over memory, with a group that takes every commit.
type bench struct {
	*processor
	memory   *memory
	guest    *goGuest
	counters counters
	stop     func()

	mu        sync.Mutex
	committed map[TopicPartition]record.Offset
	commits   int
	refuse    error // what a commit meets
	halts     []string
	failed    bool
}

type setup func(c *processorConfig)

func start(t *testing.T, m *memory, g *goGuest, outputs []string, change ...setup) *bench {
	t.Helper()
	b := &bench{memory: m, guest: g, committed: make(map[TopicPartition]record.Offset)}
	c := processorConfig{
		source: m, sink: m, pool: &pool{program: g, log: func(int32, int, string) {}, counters: &b.counters}, filter: g.Filter(), wants: g.wants, outputTopics: outputs,
		retries: 3, counters: &b.counters, logger: quiet(), commit: b.commitTo,
		partitionCount: func(topic string) (n int32) {
			for tp := range m.parts {
				if tp.Topic == topic {
					n++
				}
			}
			return n
		},
		halt: func(failed bool, reason string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.halts, b.failed = append(b.halts, reason), failed
		},
	}
	for _, f := range change {
		f(&c)
	}
	b.processor = newProcessor(c)
	ctx, cancel := context.WithCancel(t.Context())
	go b.run(ctx)
	b.stop = func() {
		cancel()
		<-b.done
		if err := c.pool.close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	return b
}

func (b *bench) commitTo(_ context.Context, offsets map[TopicPartition]record.Offset) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return b.refuse
	}
	b.commits++
	maps.Copy(b.committed, offsets)
	return nil
}

func (b *bench) offset(tp TopicPartition) record.Offset {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.committed[tp]
}

func (b *bench) commitCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.commits
}

func (b *bench) assign(t *testing.T, tps ...TopicPartition) {
	t.Helper()
	positions := make(map[TopicPartition]record.Offset)
	for _, tp := range tps {
		positions[tp] = 0
	}
	if !b.do(t.Context(), func() { b.add(positions) }) {
		t.Fatal("the processor has ended")
	}
}

var (
	in0  = TopicPartition{"in", 0}
	in1  = TopicPartition{"in", 1}
	out0 = TopicPartition{"out", 0}
	out1 = TopicPartition{"out", 1}
)

func oneToOne() *memory { return newMemory(map[string]int{"in": 2, "out": 2}) }

func contains(part string) func([]byte) (bool, error) {
	return func(v []byte) (bool, error) { return bytes.Contains(v, []byte(part)), nil }
}

func TestABatchThatPassesAsAWholeGoesOnAsItIsStored(t *testing.T) {
	for _, codec := range []record.Codec{record.CodecNone, record.CodecGzip, record.CodecLZ4} {
		synctest.Test(t, func(t *testing.T) {
			m := oneToOne()
			numberedBatch := record.NewBuilder(nil)
			numberedBatch.SetProducer(77, 1, 40)
			numberedBatch.SetCodec(codec)
			for _, v := range numbered("yes", 100) {
				numberedBatch.Append(5, nil, []byte(v), nil)
			}
			stored, err := numberedBatch.Build()
			if err != nil {
				t.Fatal(err)
			}
			m.put(t, in0, stored)
			b := start(t, m, &goGuest{filter: contains("yes"), wants: abi.WantRaw}, []string{"out"})
			b.assign(t, in0)
			time.Sleep(2 * time.Second)
			b.stop()
			if len(m.parts[out0].batches) != 1 {
				t.Fatalf("%s: %d batches", codec, len(m.parts[out0].batches))
			}
			got := m.parts[out0].batches[0]
			if !bytes.Equal(got.StoredRecords(), stored.StoredRecords()) || got.Codec() != codec {
				t.Errorf("%s: the records were made anew", codec)
			}
			if got.HasProducerID() {
				t.Errorf("%s: the output has the input's producer id %d", codec, got.ProducerID())
			}
			if b.offset(in0) != 100 {
				t.Errorf("%s: committed %d", codec, b.offset(in0))
			}
		})
	}
}

func TestAFilterWritesWhatPassesAndKeepsAllOfIt(t *testing.T) {
	for _, wants := range []abi.Wants{abi.WantRaw, abi.WantValue, abi.WantRows} {
		synctest.Test(t, func(t *testing.T) {
			m := oneToOne()
			m.put(t, in0, batchOf(t, record.CodecGzip, "no1", "yes1", "no2", "yes2"))
			m.put(t, in0, batchOf(t, record.CodecNone, "no3"))
			m.put(t, in1, batchOf(t, record.CodecNone, "yes3", "no4"))
			b := start(t, m, &goGuest{filter: contains("yes"), wants: wants}, []string{"out"})
			b.assign(t, in0, in1)
			time.Sleep(2 * time.Second)
			b.stop()
			if got := m.values(t, out0); !slices.Equal(got, []string{"yes1", "yes2"}) {
				t.Errorf("%s: partition 0 has %q", wants, got)
			}
			if got := m.values(t, out1); !slices.Equal(got, []string{"yes3"}) {
				t.Errorf("%s: partition 1 has %q", wants, got)
			}
			r := m.records(t, out0)[1]
			if string(r.Key) != "y" || r.TimestampDelta != 1003 || len(r.Headers) != 1 || string(r.Headers[0].Value) != "yes2" {
				t.Errorf("%s: key %q, time %d, headers %v", wants, r.Key, r.TimestampDelta, r.Headers)
			}
			if codec := m.parts[out0].batches[0].Codec(); codec != record.CodecGzip {
				t.Errorf("%s: the output's codec is %s", wants, codec)
			}
			if b.offset(in0) != 5 || b.offset(in1) != 2 {
				t.Errorf("%s: committed %d and %d", wants, b.offset(in0), b.offset(in1))
			}
			c := b.counters.snapshot()
			if c.In != 7 || c.Out != 3 || c.Dropped != 4 || c.Failed != 0 {
				t.Errorf("%s: %+v", wants, c)
			}
		})
	}
}

func TestATransformMakesRowsForEveryOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(map[string]int{"in": 1, "out": 1, "other": 4})
		m.put(t, in0, batchOf(t, record.CodecSnappy, "keep", "drop", "twice", "named"))
		g := &goGuest{wants: abi.WantRows, transform: func(call abi.Call, r *abi.InputRow, i int) ([]byte, error) {
			row := copied(i)
			switch string(r.Value) {
			case "drop":
				return nil, nil
			case "twice":
				first := abi.AppendOutputRow(nil, &row, nil)
				row.Output, row.CopyValue, row.Value, row.CopyKey, row.Key = 1, false, []byte("second"), false, nil
				row.CopyHeaders = false
				return abi.AppendOutputRow(first, &row, []abi.Header{{Key: "new", Value: nil}}), nil
			case "named":
				row.Output, row.Partition, row.Timestamp = 1, 3, 77
			}
			return abi.AppendOutputRow(nil, &row, nil), nil
		}}
		b := start(t, m, g, []string{"out", "other"})
		b.assign(t, in0)
		time.Sleep(2 * time.Second)
		b.stop()
		if got := m.values(t, out0); !slices.Equal(got, []string{"keep", "twice"}) {
			t.Errorf("out: %q", got)
		}
		second := m.records(t, TopicPartition{"other", 0})
		if len(second) != 1 || second[0].Key != nil || string(second[0].Value) != "second" || len(second[0].Headers) != 1 ||
			second[0].Headers[0].Key != "new" || second[0].Headers[0].Value != nil || second[0].TimestampDelta != 1002 {
			t.Errorf("other/0: %+v", second)
		}
		named := m.records(t, TopicPartition{"other", 3})
		if len(named) != 1 || named[0].TimestampDelta != 77 || string(named[0].Key) != "n" || string(named[0].Headers[0].Value) != "named" {
			t.Errorf("other/3: %+v", named)
		}
		if c := b.counters.snapshot(); c.In != 4 || c.Out != 4 || c.Dropped != 1 {
			t.Errorf("%+v", c)
		}
	})
}

func TestRecordsGoByTheirKeysHashAsKafkasClientsPlaceThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(map[string]int{"in": 2, "out": 7})
		batch := record.NewBuilder(nil)
		keys := []string{"kafka", "giberish123456789", "abc", ""}
		for _, k := range keys {
			batch.Append(1, []byte(k), []byte("v"+k), nil)
		}
		batch.Append(1, nil, []byte("vnull"), nil)
		stored, err := batch.Build()
		if err != nil {
			t.Fatal(err)
		}
		m.put(t, in1, stored)
		b := start(t, m, &goGuest{filter: contains("v"), wants: abi.WantRaw}, []string{"out"}, func(c *processorConfig) { c.byKey = true })
		b.assign(t, in1)
		time.Sleep(2 * time.Second)
		b.stop()
		for _, k := range keys {
			p := partitionOfKey([]byte(k), 7)
			if !slices.Contains(m.values(t, TopicPartition{"out", p}), "v"+k) {
				t.Errorf("key %q is not in partition %d", k, p)
			}
		}
		if !slices.Contains(m.values(t, out1), "vnull") {
			t.Error("a null key did not keep the partition")
		}
	})
}

func TestLargeBatchesAreCutBetweenRecordsAndALargeRecordComesAlone(t *testing.T) {
	for _, wants := range []abi.Wants{abi.WantRaw, abi.WantRows} {
		synctest.Test(t, func(t *testing.T) {
			m := oneToOne()
			var values []string
			for i := range 40 {
				values = append(values, fmt.Sprintf("yes%d%s", i, strings.Repeat("x", 10_000)))
			}
			values = append(values, "yes-huge"+strings.Repeat("x", 300_000), "yes-last")
			stored := batchOf(t, record.CodecGzip, values...)
			m.put(t, in0, stored)
			g := &goGuest{filter: contains("yes"), wants: wants}
			b := start(t, m, g, []string{"out"})
			b.assign(t, in0)
			time.Sleep(2 * time.Second)
			b.stop()
			if calls := g.called(); len(calls) < 6 || calls[len(calls)-2] != 1 || calls[len(calls)-1] != 1 {
				t.Errorf("%s: calls had %v records", wants, calls)
			}
			got := m.parts[out0].batches
			if len(got) != 1 || !bytes.Equal(got[0].StoredRecords(), stored.StoredRecords()) {
				t.Errorf("%s: the whole batch passed and was not passed on", wants)
			}
		})
	}
}

func TestProcessingBeginsInTheMiddleOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecLZ4, "a", "b", "c", "d"))
		b := start(t, m, &goGuest{filter: contains(""), wants: abi.WantRaw}, []string{"out"})
		b.do(t.Context(), func() { b.add(map[TopicPartition]record.Offset{in0: 2}) })
		time.Sleep(2 * time.Second)
		b.stop()
		if got := m.values(t, out0); !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("out: %q", got)
		}
	})
}

func TestABatchThatTheOutputFindsTooLargeIsWrittenInHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		values := numbered("v"+strings.Repeat("x", 100), 100)
		m.put(t, in0, batchOf(t, record.CodecNone, values...))
		m.largest = 3000
		b := start(t, m, &goGuest{filter: contains("v"), wants: abi.WantRaw}, []string{"out"})
		b.assign(t, in0)
		time.Sleep(2 * time.Second)
		b.stop()
		if got := m.values(t, out0); !slices.Equal(got, values) {
			t.Errorf("%d of %d records, or in another order", len(got), len(values))
		}
	})
}

func TestAnIdleProcessorWakesOnAppendAndCommitsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		b := start(t, m, &goGuest{filter: contains(""), wants: abi.WantRaw}, []string{"out"})
		b.assign(t, in0)
		time.Sleep(time.Hour)
		m.put(t, in0, batchOf(t, record.CodecNone, "a"))
		synctest.Wait()
		if got := m.values(t, out0); !slices.Equal(got, []string{"a"}) {
			t.Errorf("no time has passed and out has %q", got)
		}
		time.Sleep(idleCommitInterval + time.Millisecond)
		synctest.Wait()
		if b.offset(in0) != 1 {
			t.Errorf("committed %d", b.offset(in0))
		}
		b.stop()
	})
}

func TestABusyProcessorCommitsAtMostASecondApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.largest = 2 << 20
		for range 50 {
			m.put(t, in0, batchOf(t, record.CodecNone, strings.Repeat("x", 700_000)))
		}
		slow := &goGuest{wants: abi.WantRaw, filter: func([]byte) (bool, error) {
			time.Sleep(100 * time.Millisecond)
			return true, nil
		}}
		b := start(t, m, slow, []string{"out"})
		b.assign(t, in0)
		time.Sleep(4050 * time.Millisecond)
		if n := b.commitCount(); n < 3 || n > 5 {
			t.Errorf("%d commits in four seconds", n)
		}
		b.stop()
	})
}

func TestProcessingPausesWhenTooMuchIsNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.largest = 3 << 20
		for range 100 {
			m.put(t, in0, batchOf(t, record.CodecNone, strings.Repeat("x", 1_000_000)))
		}
		b := start(t, m, &goGuest{filter: contains("nothing"), wants: abi.WantRaw}, []string{"out"})
		b.mu.Lock()
		b.refuse = codeRebalancing
		b.mu.Unlock()
		b.assign(t, in0)
		time.Sleep(time.Minute)
		if in := b.counters.in.Load(); in < 32 || in > 36 {
			t.Errorf("%d batches of 2 MB were read without a commit", in)
		}
		b.mu.Lock()
		b.refuse = nil
		b.mu.Unlock()
		time.Sleep(time.Minute)
		b.stop()
		if b.offset(in0) != 100 {
			t.Errorf("committed %d", b.offset(in0))
		}
	})
}

func TestTheMemberIsServedBetweenTwoChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.largest = 3 << 20
		m.put(t, in0, batchOf(t, record.CodecNone, slices.Repeat([]string{strings.Repeat("x", 60_000)}, 10)...))
		slow := &goGuest{wants: abi.WantRows, filter: func([]byte) (bool, error) {
			time.Sleep(100 * time.Millisecond)
			return true, nil
		}}
		b := start(t, m, slow, []string{"out"})
		b.assign(t, in0)
		time.Sleep(50 * time.Millisecond)
		begin := time.Now()
		b.do(t.Context(), func() { _ = b.commitAll(t.Context()); b.dropAll() })
		if took := time.Since(begin); took > 250*time.Millisecond {
			t.Errorf("partitions were given up after %s", took)
		}
		b.stop()
		if done := b.offset(in0); done == 0 || done == 10 || len(m.values(t, out0)) != int(done) {
			t.Errorf("committed %d, out has %d", done, len(m.values(t, out0)))
		}
	})
}

func TestControlBatchesAreNotGivenToTheGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		control := record.NewBuilder(nil)
		control.SetProducer(1, 0, -1)
		control.SetControl(true)
		control.SetTransactional(true)
		control.Append(1, []byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 0}, nil)
		marker, err := control.Build()
		if err != nil {
			t.Fatal(err)
		}
		m.put(t, in0, marker)
		m.put(t, in0, batchOf(t, record.CodecNone, "a"))
		g := &goGuest{filter: contains(""), wants: abi.WantRaw}
		b := start(t, m, g, []string{"out"})
		b.assign(t, in0)
		time.Sleep(2 * time.Second)
		b.stop()
		if !slices.Equal(g.called(), []int{1}) || b.offset(in0) != 2 {
			t.Errorf("calls %v, committed %d", g.called(), b.offset(in0))
		}
	})
}

func TestMurmur2IsKafkas(t *testing.T) {
	// The values of Kafka's own UtilsTest.
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}
