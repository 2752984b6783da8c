package transform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// trapError is a failure as a host tells it.
type trapError struct{ stack string }

func (e *trapError) Error() string        { return "wasm trap: unreachable" }
func (e *trapError) GuestStack() string   { return e.stack }
func (e *trapError) GuestFailure() string { return "trap" }

func trapOnPoison(v []byte) (bool, error) {
	if strings.HasPrefix(string(v), "poison") {
		return false, &trapError{".deep()\n.millrun_filter(i32,i32,i32) i32"}
	}
	return true, nil
}

// toDLQ is the policy, with the module's name and version as a worker gives them.
func toDLQ(c *processorConfig) {
	c.dead = &deadLetters{"f.dlq", "f", meta.ModuleRef{Name: "m", SHA256: "abcd", Version: 7}, c.partitionCount}
}

var dlq0 = TopicPartition{"f.dlq", 0}

func withDLQ() *memory { return newMemory(map[string]int{"in": 2, "out": 2, "f.dlq": 1}) }

func letters(t *testing.T, m *memory, tp TopicPartition) (all []DeadLetter, own [][]record.Header) {
	t.Helper()
	for _, r := range m.records(t, tp) {
		headers, l, ok := ReadDeadLetter(r.Headers)
		if !ok {
			t.Fatalf("%q is no dead letter: %q", r.Value, r.Headers)
		}
		all, own = append(all, l), append(own, headers)
	}
	return all, own
}

func TestARecordThatFailsAloneBecomesADeadLetterAsItWas(t *testing.T) {
	for _, codec := range []record.Codec{record.CodecNone, record.CodecGzip} {
		synctest.Test(t, func(t *testing.T) {
			m := withDLQ()
			b := record.NewBuilder(nil)
			b.SetCodec(codec)
			b.Append(1000, nil, []byte("good"), nil)
			b.Append(2000, nil, []byte("poison"), []record.Header{{Key: "trace", Value: []byte{0, 0xff}}, {Key: "none", Value: nil}})
			b.Append(3000, []byte{0xfe}, []byte("poison2"), nil)
			b.Append(4000, []byte("k"), nil, nil)
			batch, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			m.put(t, in1, batch)
			began := time.Now()
			bench := start(t, m, &goGuest{wants: abi.WantRaw, filter: trapOnPoison}, []string{"out"}, toDLQ, func(c *processorConfig) { c.retries = 1 })
			bench.assign(t, in1)
			time.Sleep(5 * time.Second)
			bench.stop()
			if got := m.values(t, out1); !slices.Equal(got, []string{"good", ""}) {
				t.Errorf("out: %q", got)
			}
			if c := bench.counters.snapshot(); c.Failed != 2 || c.In != 4 || c.Out != 2 || bench.offset(in1) != 4 || len(bench.halts) != 0 {
				t.Errorf("%+v, committed %d, halts %q", c, bench.offset(in1), bench.halts)
			}
			dead := m.records(t, dlq0)
			all, own := letters(t, m, dlq0)
			if len(dead) != 2 || dead[0].Key != nil || string(dead[0].Value) != "poison" || dead[0].TimestampDelta != 2000 || string(dead[1].Key) != "\xfe" {
				t.Fatalf("dead letters: %+v", dead)
			}
			if len(own[0]) != 2 || string(own[0][0].Value) != "\x00\xff" || own[0][1].Key != "none" || own[0][1].Value != nil || len(own[1]) != 0 {
				t.Errorf("own headers: %q", own)
			}
			l := all[0]
			if l.FailedAt.Before(began) || l.FailedAt.After(time.Now()) {
				t.Errorf("failed at %s", l.FailedAt)
			}
			l.FailedAt = time.Time{}
			want := DeadLetter{"f", "in", 1, 1, "trap", "wasm trap: unreachable", ".deep()\n.millrun_filter(i32,i32,i32) i32", "m", "abcd", 7, time.Time{}, 3}
			if l != want {
				t.Errorf("the letter says %+v, not %+v", l, want)
			}
		})
	}
}

func TestADeadLetterIsDurableBeforeItsInputIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withDLQ()
		m.put(t, in0, batchOf(t, record.CodecNone, "poison"))
		lost := true
		m.waiting = func(tp TopicPartition) error {
			if tp == dlq0 && lost {
				return errors.New("leader changed")
			}
			return nil
		}
		b := start(t, m, &goGuest{filter: trapOnPoison, wants: abi.WantRaw}, []string{"out"}, toDLQ, func(c *processorConfig) { c.retries = 0 })
		b.assign(t, in0)
		time.Sleep(3 * time.Second)
		if n := b.commitCount(); n != 0 {
			t.Errorf("%d commits while the dead letter may be lost", n)
		}
		m.mu.Lock()
		lost = false
		m.mu.Unlock()
		time.Sleep(15 * time.Second)
		b.stop()
		if all, _ := letters(t, m, dlq0); len(all) < 2 || b.offset(in0) != 1 {
			t.Errorf("%d dead letters, committed %d", len(all), b.offset(in0))
		}
	})
}

func TestARecordThatCannotBeDeadLetteredStopsTheDeploymentAndIsNotLost(t *testing.T) {
	for name, test := range map[string]struct {
		want   string
		change func(m *memory)
	}{
		"the topic is gone":             {"topic f.dlq does not exist", func(m *memory) { delete(m.parts, dlq0) }},
		"the topic takes nothing alike": {"topic does not take such records", func(m *memory) { m.refuse = refuseFor(dlq0, ErrRefused) }},
		"the topic takes less":          {"raise max.message.bytes of topic f.dlq", func(m *memory) { m.refuse = refuseFor(dlq0, ErrTooLarge) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := withDLQ()
				m.put(t, in0, batchOf(t, record.CodecNone, "a", "poison", "b"))
				test.change(m)
				b := start(t, m, &goGuest{wants: abi.WantRaw, filter: trapOnPoison}, []string{"out"}, toDLQ)
				b.assign(t, in0)
				time.Sleep(20 * time.Second)
				b.stop()
				if len(b.halts) != 1 || b.failed || !strings.Contains(b.halts[0], "in/0 offset 1") || !strings.Contains(b.halts[0], test.want) {
					t.Errorf("halted with %q", b.halts)
				}
				if got := m.values(t, out0); !slices.Equal(got, []string{"a"}) || b.offset(in0) != 1 {
					t.Errorf("out %q, committed %d", got, b.offset(in0))
				}
			})
		})
	}
}

func refuseFor(tp TopicPartition, err error) func(TopicPartition, record.Batch) error {
	return func(to TopicPartition, _ record.Batch) error {
		if to == tp {
			return err
		}
		return nil
	}
}

// at is the same letter of another record.
func (l DeadLetter) at(offset int64, when time.Time) DeadLetter {
	l.Offset, l.FailedAt = offset, when
	return l
}

func TestALetterThatIsTooLargeWithItsStackGoesWithoutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withDLQ()
		m.put(t, in0, batchOf(t, record.CodecNone, "poison", "poison2"))
		m.refuse = func(tp TopicPartition, b record.Batch) error {
			if tp == dlq0 && len(b) > 600 {
				return ErrTooLarge
			}
			return nil
		}
		g := &goGuest{wants: abi.WantRaw, filter: func([]byte) (bool, error) { return false, &trapError{strings.Repeat("f\n", 400)} }}
		b := start(t, m, g, []string{"out"}, toDLQ)
		b.assign(t, in0)
		time.Sleep(5 * time.Second)
		b.stop()
		if all, _ := letters(t, m, dlq0); len(all) != 2 || all[0].Stack != "" || all[0].Reason != "trap" || all[1] != all[0].at(1, all[1].FailedAt) || len(b.halts) != 0 {
			t.Errorf("letters %+v, halted with %q", all, b.halts)
		}
	})
}

func TestPassingTroubleWithTheDeadLetterTopicIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withDLQ()
		m.put(t, in0, batchOf(t, record.CodecNone, "poison", "a"))
		m.refuse = refuseFor(dlq0, errors.New("disk is busy"))
		b := start(t, m, &goGuest{wants: abi.WantRaw, filter: trapOnPoison}, []string{"out"}, toDLQ)
		b.assign(t, in0)
		time.Sleep(10 * time.Second)
		if n := b.commitCount(); n != 0 || b.counters.failed.Load() != 0 {
			t.Errorf("%d commits, %d failed while nothing could be written", n, b.counters.failed.Load())
		}
		m.mu.Lock()
		m.refuse = nil
		m.mu.Unlock()
		time.Sleep(20 * time.Second)
		b.stop()
		if all, _ := letters(t, m, dlq0); len(all) != 1 || b.offset(in0) != 2 || b.counters.failed.Load() != 1 {
			t.Errorf("%d dead letters, committed %d, failed %d", len(all), b.offset(in0), b.counters.failed.Load())
		}
	})
}

func TestADamagedBatchIsNotDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withDLQ()
		lying, err := batchOf(t, record.CodecNone, "a", "b", "c").Repack(nil, batchOf(t, record.CodecNone, "a").StoredRecords(), record.CodecGzip, record.DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		m.put(t, in0, lying)
		b := start(t, m, &goGuest{wants: abi.WantRows, filter: trapOnPoison}, []string{"out"}, toDLQ)
		b.assign(t, in0)
		time.Sleep(10 * time.Second)
		b.stop()
		if len(b.halts) != 1 || !strings.Contains(b.halts[0], "damaged") || !strings.Contains(b.halts[0], "cannot be dead-lettered") {
			t.Errorf("halted with %q", b.halts)
		}
	})
}

// An output topic takes no value that begins with "long": whichever record it was made of falls to the policy, and no other.
func TestOnlyTheRecordWhoseOutputIsRefusedFallsToThePolicy(t *testing.T) {
	long := func(tp TopicPartition, b record.Batch) error {
		if tp.Topic != "out" {
			return nil
		}
		section, err := b.Records(nil, maxSectionBytes)
		if err != nil {
			return err
		}
		r, rec := record.NewReader(section, int(b.NumRecords())), record.Record{}
		for {
			if ok, err := r.Next(&rec); err != nil || !ok {
				return err
			}
			if strings.HasPrefix(string(rec.Value), "long") {
				return fmt.Errorf("append: %w", ErrTooLarge)
			}
		}
	}
	copying := func(_ abi.Call, _ *abi.InputRow, i int) ([]byte, error) {
		row := copied(i)
		return abi.AppendOutputRow(nil, &row, nil), nil
	}
	for name, g := range map[string]func() *goGuest{
		"filter of raw records": func() *goGuest { return &goGuest{wants: abi.WantRaw, filter: contains("")} },
		"filter of rows":        func() *goGuest { return &goGuest{wants: abi.WantValue, filter: contains("")} },
		"transform":             func() *goGuest { return &goGuest{wants: abi.WantRows, transform: copying} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := withDLQ()
				m.refuse = long
				m.parts[in0].end = 5 // and a gap before the first
				m.put(t, in0, batchOf(t, record.CodecGzip, "a", "long1", "b", "c", "long2"))
				m.put(t, in0, batchOf(t, record.CodecNone, "d", "e"))
				b := start(t, m, g(), []string{"out"}, toDLQ)
				b.assign(t, in0)
				time.Sleep(10 * time.Second)
				b.stop()
				if got := m.values(t, dlq0); !slices.Equal(got, []string{"long1", "long2"}) {
					t.Errorf("dead letters: %q", got)
				}
				all, _ := letters(t, m, dlq0)
				if all[0].Reason != "output refused" || all[0].Offset != 6 || all[1].Offset != 9 || !strings.Contains(all[0].Error, "out/0") {
					t.Errorf("letters: %+v", all)
				}
				got := m.values(t, out0)
				slices.Sort(got)
				if got = slices.Compact(got); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
					t.Errorf("out: %q", got)
				}
				if c := b.counters.snapshot(); c.In != 7 || c.Failed != 2 || c.Dropped != 0 || b.offset(in0) != 12 || len(b.halts) != 0 {
					t.Errorf("%+v, committed %d, halts %q", c, b.offset(in0), b.halts)
				}
			})
		})
	}
}

func TestARefusedOutputStopsAtItsRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneToOne()
		m.largest = 300
		m.put(t, in0, batchOf(t, record.CodecNone, "a"))
		m.put(t, in0, batchOf(t, record.CodecNone, "b"))
		m.largest = 1 << 20
		m.put(t, in0, batchOf(t, record.CodecNone, "c", strings.Repeat("x", 300), "d"))
		m.largest = 300
		b := start(t, m, &goGuest{wants: abi.WantRaw, filter: contains("")}, []string{"out"})
		b.assign(t, in0)
		time.Sleep(10 * time.Second)
		b.stop()
		if len(b.halts) != 1 || !strings.Contains(b.halts[0], "in/0 offset 3") || !strings.Contains(b.halts[0], "out/0") || b.offset(in0) != 3 {
			t.Errorf("halted with %q, committed %d", b.halts, b.offset(in0))
		}
	})
}

func TestALetterOfALetterKeepsTheFirstAsItsOwnHeaders(t *testing.T) {
	first := DeadLetter{Deployment: "a", Topic: "in", Partition: 3, Offset: 9, Error: "e", FailedAt: time.UnixMilli(1700000000123).UTC(), Attempts: 4}
	second := DeadLetter{Deployment: "b", Topic: "a.dlq", Offset: 1, Error: "f", FailedAt: time.UnixMilli(1700000001000).UTC(), Attempts: 1}
	headers := second.appendHeaders(first.appendHeaders([]record.Header{{Key: "own", Value: nil}}))
	own, l, ok := ReadDeadLetter(headers)
	if !ok || l != second {
		t.Errorf("%t %+v", ok, l)
	}
	own, l, ok = ReadDeadLetter(own)
	if !ok || l != first || len(own) != 1 {
		t.Errorf("%t %+v %q", ok, l, own)
	}
}

func FuzzReadDeadLetter(f *testing.F) {
	f.Add("in", "3", "9", "2023-11-14T22:13:20Z", "4", byte(0))
	f.Add("a b", "-1", "x", "", "99999999999999999999", byte(1))
	f.Fuzz(func(t *testing.T, topic, partition, offset, failedAt, attempts string, more byte) {
		headers := []record.Header{{Key: "own"}, {Key: headerDeployment, Value: []byte("f")}, {Key: headerTopic, Value: []byte(topic)},
			{Key: headerPartition, Value: []byte(partition)}, {Key: headerOffset, Value: []byte(offset)}, {Key: headerFailedAt, Value: []byte(failedAt)},
			{Key: headerAttempts, Value: []byte(attempts)}}
		if more%2 == 1 {
			headers = append(headers, record.Header{Key: headerOffset, Value: []byte("1")})
		}
		own, l, ok := ReadDeadLetter(headers)
		if !ok {
			return
		}
		if l.Partition < 0 || l.Offset < 0 || l.Attempts < 0 || len(own) != 1 || meta.CheckTopicName(l.Topic) != nil {
			t.Fatalf("%+v", l)
		}
		_, second, ok := ReadDeadLetter(l.appendHeaders(own))
		same := second.FailedAt.Equal(l.FailedAt)
		second.FailedAt = l.FailedAt // another pointer to the same zone
		if !ok || !same || second != l {
			t.Fatalf("%+v was written and read as %+v", l, second)
		}
	})
}

func TestWhereEveryRecordFailsTheBatchIsNotReadForEachOfThem(t *testing.T) {
	for name, policy := range map[string]setup{"dlq": toDLQ, "skip": func(c *processorConfig) { c.skip = true }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				m := withDLQ()
				m.put(t, in0, batchOf(t, record.CodecGzip, numbered("poison", n)...))
				m.put(t, in0, batchOf(t, record.CodecNone, "a"))
				reads := &countedReads{memory: m}
				b := start(t, m, &goGuest{wants: abi.WantRows, transform: func(_ abi.Call, r *abi.InputRow, i int) ([]byte, error) {
					row := copied(i)
					_, err := trapOnPoison(r.Value)
					return abi.AppendOutputRow(nil, &row, nil), err
				}}, []string{"out"}, policy, func(c *processorConfig) { c.source = reads })
				b.assign(t, in0)
				time.Sleep(10 * time.Second)
				b.stop()
				if c := b.counters.snapshot(); c.In != n+1 || c.Failed != n || c.Out != 1 || c.Dropped != 0 || b.offset(in0) != n+1 {
					t.Errorf("%+v, committed %d", c, b.offset(in0))
				}
				if got := m.values(t, out0); !slices.Equal(got, []string{"a"}) {
					t.Errorf("out: %q", got)
				}
				if all, _ := letters(t, m, dlq0); name == "dlq" && (len(all) != n || all[n-1].Offset != n-1 || all[n-1].Attempts != 5) {
					t.Errorf("%d letters", len(all))
				}
				if got := reads.n.Load(); got > 20 {
					t.Errorf("%d reads for %d records in two batches", got, n)
				}
			})
		})
	}
}

// countedReads counts what is asked of a source.
type countedReads struct {
	*memory
	n atomic.Int64
}

func (c *countedReads) Read(dst []byte, tp TopicPartition, from record.Offset, maxBytes int) ([]byte, error) {
	c.n.Add(1)
	return c.memory.Read(dst, tp, from, maxBytes)
}
