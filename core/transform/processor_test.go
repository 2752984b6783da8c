package transform

import (
	"bytes"
	"context"
	"errors"
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
		source: m, sink: m, pool: &pool{program: g, log: func(int32, int, string) {}}, filter: g.Filter(), wants: g.wants, outputTopics: outputs,
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

func TestAChunkThatFailsOnceIsTriedAgainWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecNone, "a", "b", "c"))
		failures := 2
		begin := time.Now()
		g := &goGuest{wants: abi.WantRaw, filter: func(v []byte) (bool, error) {
			if v[0] == 'b' && failures > 0 {
				failures--
				return false, errors.New("trap")
			}
			return true, nil
		}}
		b := start(t, m, g, []string{"out"})
		b.assign(t, in0)
		for len(m.values(t, out0)) == 0 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(begin); took < 300*time.Millisecond || took > 310*time.Millisecond {
			t.Errorf("two retries took %s, not 100 and 200 ms", took)
		}
		b.stop()
		if got := m.values(t, out0); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("out: %q", got)
		}
		if !slices.Equal(g.called(), []int{3, 3, 3}) {
			t.Errorf("calls had %v records", g.called())
		}
		if c := b.counters.snapshot(); c.Retries != 2 || c.Restarts != 2 || c.In != 3 || c.Failed != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func poison(v []byte) (bool, error) {
	if string(v) == "poison" {
		return false, errors.New("trap: unreachable")
	}
	return true, nil
}

func TestARecordThatFailsAloneStopsTheDeploymentBehindTheOnesBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecNone, "a", "b", "poison", "c"))
		m.put(t, in0, batchOf(t, record.CodecNone, "d"))
		g := &goGuest{wants: abi.WantRaw, filter: poison}
		b := start(t, m, g, []string{"out"})
		b.assign(t, in0)
		time.Sleep(30 * time.Second)
		b.stop()
		if len(b.halts) != 1 || b.failed || !strings.Contains(b.halts[0], "in/0 offset 2") || !strings.Contains(b.halts[0], "unreachable") {
			t.Errorf("halted with %q", b.halts)
		}
		if got := m.values(t, out0); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("out: %q", got)
		}
		if b.offset(in0) != 2 {
			t.Errorf("committed %d, the failing record is 2", b.offset(in0))
		}
		if !slices.Equal(g.called(), []int{4, 4, 4, 4, 1, 1, 1}) {
			t.Errorf("calls had %v records", g.called())
		}
	})
}

func TestSkipPassesOverTheFailingRecordAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecGzip, "a", "poison", "b", "poison", "c"))
		b := start(t, m, &goGuest{wants: abi.WantValue, filter: poison}, []string{"out"}, func(c *processorConfig) { c.skip = true })
		b.assign(t, in0)
		time.Sleep(30 * time.Second)
		b.stop()
		if got := m.values(t, out0); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("out: %q", got)
		}
		if c := b.counters.snapshot(); c.Failed != 2 || c.In != 5 || b.offset(in0) != 5 || len(b.halts) != 0 {
			t.Errorf("%+v, committed %d, halts %q", c, b.offset(in0), b.halts)
		}
	})
}

func TestBadOutputHasNoEffectAtAll(t *testing.T) {
	for name, bad := range map[string]func(i int) []byte{
		"an output that is not declared": func(i int) []byte { r := copied(i); r.Output = 1; return abi.AppendOutputRow(nil, &r, nil) },
		"a partition that is not there":  func(i int) []byte { r := copied(i); r.Partition = 2; return abi.AppendOutputRow(nil, &r, nil) },
		"a source that is not there":     func(i int) []byte { r := copied(9); return abi.AppendOutputRow(nil, &r, nil) },
		"half a row":                     func(i int) []byte { return make([]byte, 31) },
		"copies beyond the cap": func(i int) []byte {
			r, rows := copied(i), []byte(nil)
			for range 2000 {
				rows = abi.AppendOutputRow(rows, &r, nil)
			}
			return rows
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := oneToOne()
				m.put(t, in0, batchOf(t, record.CodecNone, "good", "bad"+strings.Repeat("x", 1000)))
				g := &goGuest{wants: abi.WantRows, transform: func(_ abi.Call, r *abi.InputRow, i int) ([]byte, error) {
					if bytes.HasPrefix(r.Value, []byte("bad")) {
						return bad(i), nil
					}
					row := copied(i)
					return abi.AppendOutputRow(nil, &row, nil), nil
				}}
				b := start(t, m, g, []string{"out"}, func(c *processorConfig) { c.retries = 1 })
				b.assign(t, in0)
				time.Sleep(10 * time.Second)
				b.stop()
				if got := m.values(t, out0); !slices.Equal(got, []string{"good"}) {
					t.Errorf("out: %d records", len(got))
				}
				if len(b.halts) != 1 || !strings.Contains(b.halts[0], "bad output") {
					t.Errorf("halted with %q", b.halts)
				}
			})
		})
	}
}

func TestAModuleThatNoLongerStartsFailsTheDeployment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecNone, "a"))
		g := &goGuest{wants: abi.WantRaw, filter: poison, start: func() error { return errors.New("out of memory") }}
		b := start(t, m, g, []string{"out"})
		b.assign(t, in0)
		time.Sleep(10 * time.Second)
		b.stop()
		if len(b.halts) != 1 || !b.failed || !strings.Contains(b.halts[0], "out of memory") {
			t.Errorf("halted with %q, failed %t", b.halts, b.failed)
		}
	})
}

func TestALyingBatchStopsTheDeploymentAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		// Four records in the header, two inside; and one whose offset would jump over everything that follows.
		short := batchOf(t, record.CodecNone, "a", "b", "c", "d")
		section := batchOf(t, record.CodecNone, "a", "b").StoredRecords()
		lying, err := short.Repack(nil, section, record.CodecGzip, record.DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		m.put(t, in0, lying)
		m.put(t, in0, batchOf(t, record.CodecNone, "later"))
		jump := batchOf(t, record.CodecNone, "x", "y", "z")
		middle := record.NewBuilder(nil)
		middle.Append(1, nil, []byte("only"), nil)
		one, err := middle.Build()
		if err != nil {
			t.Fatal(err)
		}
		tail := bytes.Clone(jump.StoredRecords())
		tail[4] = 0x7e // the first record's offset delta: 63
		jumping, err := one.Repack(nil, tail[:1+int(tail[0]>>1)], record.CodecGzip, record.DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		m.put(t, in1, jumping)
		m.put(t, in1, batchOf(t, record.CodecNone, "behind"))
		b := start(t, m, &goGuest{wants: abi.WantRaw, filter: poison}, []string{"out"}, func(c *processorConfig) { c.skip = true })
		b.assign(t, in0, in1)
		time.Sleep(10 * time.Second)
		b.stop()
		if got := m.values(t, out0); !slices.Contains(got, "later") || slices.Contains(got, "d") {
			t.Errorf("partition 0: %q", got)
		}
		if got := m.values(t, out1); !slices.Equal(got, []string{"behind"}) {
			t.Errorf("partition 1: %q", got)
		}
		if c := b.counters.snapshot(); c.Failed == 0 {
			t.Errorf("nothing counted as failed: %+v", c)
		}
	})
}

func TestABombIsNotExpandedBeyondItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		bomb, err := batchOf(t, record.CodecNone, "a").Repack(nil, make([]byte, maxSectionBytes+1), record.CodecGzip, record.DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		m.put(t, in0, bomb)
		b := start(t, m, &goGuest{wants: abi.WantRaw, filter: poison}, []string{"out"})
		b.assign(t, in0)
		time.Sleep(10 * time.Second)
		b.stop()
		if len(b.halts) != 1 || !strings.Contains(b.halts[0], "damaged") || !strings.Contains(b.halts[0], "in/0 offset 0") {
			t.Errorf("halted with %q", b.halts)
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

func TestARecordThatTheOutputNeverTakesStopsTheDeployment(t *testing.T) {
	for name, change := range map[string]func(m *memory){
		"larger than the topic allows": func(m *memory) { m.largest = 100 },
		"no key in a compacted topic":  func(m *memory) { m.refuse = func(TopicPartition, record.Batch) error { return ErrRefused } },
		"no such topic": func(m *memory) {
			delete(m.parts, out0)
			delete(m.parts, out1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := oneToOne()
				m.put(t, in0, batchOf(t, record.CodecNone, "v"+strings.Repeat("x", 200)))
				change(m)
				b := start(t, m, &goGuest{filter: contains("v"), wants: abi.WantRaw}, []string{"out"})
				b.assign(t, in0)
				time.Sleep(10 * time.Second)
				b.stop()
				if len(b.halts) != 1 || b.failed || !strings.Contains(b.halts[0], "out") || b.offset(in0) != 0 {
					t.Errorf("halted with %q, committed %d", b.halts, b.offset(in0))
				}
			})
		})
	}
}

func TestPassingTroubleWithOneOutputDelaysThatPartitionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecNone, "a"))
		m.put(t, in1, batchOf(t, record.CodecNone, "b"))
		broken := true
		m.refuse = func(tp TopicPartition, _ record.Batch) error {
			if tp == out0 && broken {
				return errors.New("disk is busy")
			}
			return nil
		}
		b := start(t, m, &goGuest{filter: contains(""), wants: abi.WantRaw}, []string{"out"})
		b.assign(t, in0, in1)
		time.Sleep(3 * time.Second)
		if got := m.values(t, out1); !slices.Equal(got, []string{"b"}) || b.offset(in1) != 1 || b.offset(in0) != 0 {
			t.Errorf("other partition: %q, committed %d and %d", got, b.offset(in0), b.offset(in1))
		}
		m.mu.Lock()
		broken = false
		m.mu.Unlock()
		time.Sleep(20 * time.Second)
		b.stop()
		if got := m.values(t, out0); !slices.Equal(got, []string{"a"}) || b.offset(in0) != 1 {
			t.Errorf("after the trouble: %q, committed %d", got, b.offset(in0))
		}
	})
}

func TestNothingIsCommittedBeforeItsOutputsAreDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecNone, "a"))
		lost := true
		m.waiting = func(TopicPartition) error {
			if lost {
				return errors.New("leader changed")
			}
			return nil
		}
		b := start(t, m, &goGuest{filter: contains(""), wants: abi.WantRaw}, []string{"out"})
		b.assign(t, in0)
		time.Sleep(3 * time.Second)
		if n := b.commitCount(); n != 0 {
			t.Errorf("%d commits of outputs that may be lost", n)
		}
		m.mu.Lock()
		lost = false
		m.mu.Unlock()
		time.Sleep(15 * time.Second)
		b.stop()
		if got := m.values(t, out0); len(got) < 2 || b.offset(in0) != 1 {
			t.Errorf("the record was not processed again: %q, committed %d", got, b.offset(in0))
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

func TestAPositionThatRetentionHasPassedMovesToTheStartOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.put(t, in0, batchOf(t, record.CodecNone, "a", "b"))
		m.put(t, in0, batchOf(t, record.CodecNone, "c"))
		p := m.parts[in0]
		p.batches, p.start = p.batches[1:], 2
		b := start(t, m, &goGuest{filter: contains("nothing"), wants: abi.WantRaw}, []string{"out"})
		b.assign(t, in0)
		time.Sleep(5 * time.Second)
		b.stop()
		if b.offset(in0) != 3 || b.counters.in.Load() != 1 {
			t.Errorf("committed %d, in %d", b.offset(in0), b.counters.in.Load())
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
