package transform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

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

func TestALyingCountSizesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		lying, err := batchOf(t, record.CodecNone, "a").Repack(nil, batchOf(t, record.CodecNone, "a").StoredRecords(), record.CodecGzip, record.DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		const n = 1<<31 - 1 // records, as the header has it
		binary.BigEndian.PutUint32(lying[23:], n-1)
		binary.BigEndian.PutUint32(lying[57:], n)
		lying.SetMaxTimestamp(lying.MaxTimestamp()) // renews the checksum
		m.put(t, in0, lying)
		b := start(t, m, &goGuest{wants: abi.WantRows, filter: poison}, []string{"out"})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b.assign(t, in0)
		time.Sleep(10 * time.Second)
		b.stop()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("%d bytes were allocated for one record", grown)
		}
		if len(b.halts) != 1 || !strings.Contains(b.halts[0], "damaged") {
			t.Errorf("halted with %q", b.halts)
		}
	})
}
