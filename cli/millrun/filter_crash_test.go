//go:build !windows

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/record"
)

// TestABrokerKilledWhileItFiltersLosesNothingAndRepeatsOnlyWhatWasNotCommitted kills the broker at random points while a
// deployment filters 100,000 records. MILLRUN_CRASH_KILLS=30 kills it more often, MILLRUN_CRASH_SEED repeats a run's choices.
//
// What may be repeated is computed, not estimated. After each kill the files of the dead broker are read: the offsets that
// the group has committed, and where each output ends. The next life has to begin at these offsets, and the output of a
// filter goes to the partition that its input came from, in order. So what one life has written to an output partition,
// from the end of the output at its start to the end at its own death, must be exactly the records that pass from the
// committed offset at its start on: in order, without a gap, and none from before. From this follows all that is promised:
// a record that is missing would be a gap, and one that is there twice was not committed when the broker died.
func TestABrokerKilledWhileItFiltersLosesNothingAndRepeatsOnlyWhatWasNotCommitted(t *testing.T) {
	c := newFilterCrash(t)
	for n := range c.kills {
		produced := c.produce(c.total / (c.kills + 1))
		c.waitForOutputs()
		c.process.kill()
		c.endLife(fmt.Sprintf("kill %d", n+1))
		c.process = startDev(t, c.args...)
		produced.Wait()
	}
	c.produce(c.total - c.made).Wait()
	for _, client := range c.clients {
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.waitForNoLag()
	c.process.kill()
	c.endLife("end")
	c.check()
}

// filterCrash is one run of the test.
type filterCrash struct {
	*testing.T
	kills, total, partitions int
	random                   *rand.Rand
	dir                      string
	args                     []string
	process                  *process
	clients                  []*kgo.Client // one for each codec
	admin                    *kadm.Client
	made                     int // records given to the clients
	passing                  int // of these
	lives                    []life
}

// life is what the files say when one life of the broker has ended, by partition.
type life struct {
	name      string
	committed []int64 // where the next life begins to read
	end       []int64 // of the output
}

func newFilterCrash(t *testing.T) *filterCrash {
	t.Helper()
	c := &filterCrash{T: t, kills: 5, total: 100_000, partitions: 4, dir: filepath.Join(t.TempDir(), "data")}
	if testing.Short() {
		c.kills, c.total = 2, 20_000
	}
	if n, err := strconv.Atoi(os.Getenv("MILLRUN_CRASH_KILLS")); err == nil {
		c.kills = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("MILLRUN_CRASH_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("%d kills, MILLRUN_CRASH_SEED=%d", c.kills, seed)
	c.random = rand.New(rand.NewPCG(seed, 0))
	address := freeAddress(t)
	c.args = []string{"--kafka", address, "--http", "127.0.0.1:0", "--data", c.dir}
	c.process = startDev(t, c.args...)
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic("in"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(time.Millisecond), kgo.ProducerBatchMaxBytes(32<<10), kgo.MetadataMinAge(10*time.Millisecond),
			kgo.RequestRetries(10_000), kgo.RetryTimeout(time.Minute), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		c.clients = append(c.clients, client)
	}
	c.admin = kadm.NewClient(c.clients[0])
	must(t, c.process, "", "topic", "create", "in", "-p", strconv.Itoa(c.partitions))
	// Keeps the records whose value begins with y.
	must(t, c.process, "", "wasm", "deploy", "../../spec/vectors/wasm/example.wasm", "--name", "f", "--input", "in", "--output", "out", "--create-outputs", "--config", "first=y")
	return c
}

// produce gives n more records to the clients, half of which pass, on goroutines of their own.
func (c *filterCrash) produce(n int) *sync.WaitGroup {
	var done sync.WaitGroup
	begin := c.made
	for at, client := range c.clients {
		done.Go(func() {
			for i := begin; i < begin+n; i++ {
				if i%len(c.clients) == at {
					client.Produce(context.Background(), &kgo.Record{Partition: int32(i / 7 % c.partitions), Value: crashValue(i)}, func(_ *kgo.Record, err error) {
						if err != nil {
							c.Errorf("record %d: %v", i, err)
						}
					})
				}
			}
		})
	}
	for i := begin; i < begin+n; i++ {
		if crashValue(i)[0] == 'y' {
			c.passing++
		}
	}
	c.made += n
	return &done
}

// crashValue tells the records apart: y or n, the number, and some text.
func crashValue(i int) []byte {
	verdict := "ynnyyn"[i%6]
	return fmt.Appendf(nil, "%c %d %s", verdict, i, strings.Repeat(strconv.Itoa(i*7919), 30))
}

// waitForOutputs waits until the deployment has written a random part of what it has to write at least; half of the times also
// until the group has committed something since.
func (c *filterCrash) waitForOutputs() {
	c.Helper()
	last := c.lastLife()
	var written, committed int64
	for p := range c.partitions {
		written, committed = written+last.end[p], committed+last.committed[p]
	}
	step := max(int64(c.total/(c.kills+1)/2), 2)
	target := written + c.random.Int64N(step)
	c.until("enough outputs", func(ctx context.Context) (bool, error) {
		ends, err := c.admin.ListEndOffsets(ctx, "out")
		var sum int64
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		return sum > target, err
	})
	if c.random.IntN(2) == 0 {
		return
	}
	c.until("a commit", func(ctx context.Context) (bool, error) {
		offsets, err := c.admin.FetchOffsets(ctx, "f")
		var sum int64
		offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
		return sum > committed, err
	})
}

func (c *filterCrash) waitForNoLag() {
	c.Helper()
	c.until("the end", func(ctx context.Context) (bool, error) {
		lags, err := c.admin.Lag(ctx, "f")
		if err != nil {
			return false, err
		}
		lag, ok := lags["f"]
		return ok && lag.Error() == nil && lag.Lag.Total() == 0, nil
	})
}

func (c *filterCrash) until(what string, ok func(context.Context) (bool, error)) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Minute)
	defer cancel()
	for {
		reached, err := ok(ctx)
		if reached {
			return
		}
		if ctx.Err() != nil {
			c.Fatalf("%s: it never comes: %v\n%s", what, err, c.process.out)
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *filterCrash) lastLife() life {
	if len(c.lives) == 0 {
		return life{"start", make([]int64, c.partitions), make([]int64, c.partitions)}
	}
	return c.lives[len(c.lives)-1]
}

// endLife reads the files of the broker that has just died.
func (c *filterCrash) endLife(name string) {
	c.Helper()
	l := life{name, make([]int64, c.partitions), make([]int64, c.partitions)}
	logs, err := filepath.Glob(filepath.Join(c.dir, "__consumer_offsets-*"))
	if err != nil {
		c.Fatal(err)
	}
	for _, dir := range logs {
		for _, r := range readDead(c.T, dir) {
			key, value := kmsg.NewOffsetCommitKey(), kmsg.NewOffsetCommitValue()
			if err := key.ReadFrom(r.key); err != nil || key.Version > 1 || r.value == nil || key.Group != "f" || key.Topic != "in" {
				continue // about the group itself, or another one
			}
			if err := value.ReadFrom(r.value); err != nil {
				c.Fatal(err)
			}
			l.committed[key.Partition] = value.Offset
		}
	}
	for p := range c.partitions {
		if out := readDead(c.T, filepath.Join(c.dir, fmt.Sprintf("out-%d", p))); len(out) > 0 {
			l.end[p] = out[len(out)-1].offset + 1
		}
	}
	c.lives = append(c.lives, l)
}

// deadRecord is a record in the files of a broker that does not run.
type deadRecord struct {
	offset     int64
	key, value []byte
}

// readDead reads what the log in a directory holds, up to what a kill may have torn, as the broker will when it starts again. A
// partition that nobody has written to has no directory.
func readDead(t *testing.T, dir string) (out []deadRecord) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for len(data) > 0 {
			b, rest, err := record.Next(data)
			if err != nil || b.CheckCRC() != nil {
				break
			}
			data = rest
			section, err := b.Records(nil, 64<<20)
			if err != nil {
				t.Fatal(err)
			}
			r := record.NewReader(section, int(b.NumRecords()))
			for {
				var rec record.Record
				ok, err := r.Next(&rec)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				out = append(out, deadRecord{int64(b.BaseOffset()) + int64(rec.OffsetDelta), rec.Key, rec.Value})
			}
		}
	}
	return out
}

// check compares what each life has written with what it had to.
func (c *filterCrash) check() {
	c.Helper()
	inputs, passed, repeated, atMost := 0, 0, 0, 0
	for p := range c.partitions {
		in, out := readDead(c.T, filepath.Join(c.dir, fmt.Sprintf("in-%d", p))), readDead(c.T, filepath.Join(c.dir, fmt.Sprintf("out-%d", p)))
		var passing []deadRecord
		for _, r := range in {
			if r.value[0] == 'y' {
				passing = append(passing, r)
			}
		}
		inputs, passed = inputs+len(in), passed+len(passing)
		// from is the first of the passing that was not committed.
		from := func(committed int64) int {
			at, _ := slices.BinarySearchFunc(passing, committed, func(r deadRecord, to int64) int { return int(r.offset - to) })
			return at
		}
		before, furthest := life{"start", make([]int64, c.partitions), make([]int64, c.partitions)}, 0
		for _, l := range c.lives {
			next := from(before.committed[p])
			atMost += furthest - next
			for at := before.end[p]; at < l.end[p]; at++ {
				if next >= len(passing) || string(out[at].value) != string(passing[next].value) {
					c.Fatalf("partition %d, before %s: out/%d holds %.20s: something is lost, doubled or out of order since offset %d was committed",
						p, l.name, at, out[at].value, before.committed[p])
				}
				if next < furthest {
					repeated++
				}
				next++
				furthest = max(furthest, next)
			}
			if committed := from(l.committed[p]); committed > furthest {
				c.Fatalf("partition %d, %s: offset %d is committed, but of %d records before it that pass only %d are written", p, l.name, l.committed[p], committed, furthest)
			}
			before = l
		}
		if furthest != len(passing) {
			c.Errorf("partition %d: %d of %d records that pass are written", p, furthest, len(passing))
		}
	}
	if inputs != c.total || passed != c.passing {
		c.Errorf("%d records are in the input, %d of them pass; %d and %d were produced", inputs, passed, c.total, c.passing)
	}
	if repeated > atMost {
		c.Errorf("%d records are repeated, and only %d were not committed", repeated, atMost)
	}
	c.Logf("%d records, %d pass; %d were written twice in %d lives, %d might have been", inputs, passed, repeated, len(c.lives), atMost)
}
