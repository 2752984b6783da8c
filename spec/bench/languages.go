//go:build unix

package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/millrun/millrun/core/record"
	examples "github.com/millrun/millrun/examples/guests"
	"github.com/millrun/millrun/plugins"
	"github.com/millrun/millrun/plugins/hostile"
	"github.com/millrun/millrun/plugins/project"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

//go:embed guests/pull-filter.wasm
var pullFilter []byte

//go:embed guests/rows-copy.wasm
var rowsCopy []byte

// The ways in which records come to a guest and its answer back: spec/wasm-abi.md.
const (
	rawFilter     = "filter, stored records"
	rowsFilter    = "filter, rows"
	rowsTransform = "transform, rows"
	pullTransform = "pull (Redpanda's)"
)

// job is what is done with records, in native Go for each way that has guests.
type job struct {
	name   string
	record func(i int) (key, value []byte)
	native map[string]native
}

// jobGuest is a module that does a job.
type jobGuest struct {
	job, way, language string
	wasm               func() ([]byte, error)
	config             map[string]string
}

// contender is a job's line of the table.
type contender struct {
	job, way, language string
	call               func() (answer []byte, err error) // one call, of all the records of the chunk
	n                  int                               // records
	calls              int                               // in one slice of time
	beside             *contender                        // native Go; nil if it is that itself
	ns                 []float64                         // a record, one figure a round
}

// lineUp is everybody who takes turns.
type lineUp struct {
	host   *wasmhost.Host
	jobs   []job
	chunks map[[2]string]*chunk // by job and way
	all    []*contender
}

// languages runs every job in every language in turns of a millisecond, on one goroutine, and checks first that all give the same answer.
func languages(ctx context.Context, b *bench) error {
	return b.languages(ctx, time.Millisecond, append(committedGuests(), b.builtGuests(ctx)...))
}

func (b *bench) languages(ctx context.Context, slice time.Duration, guests []jobGuest) (err error) {
	jobs, err := languageJobs()
	if err != nil {
		return err
	}
	host := wasmhost.New(wasmhost.Config{})
	defer func() { err = errors.Join(err, host.Close(context.WithoutCancel(ctx))) }()
	l := &lineUp{host: host, jobs: jobs, chunks: map[[2]string]*chunk{}}
	for _, g := range guests {
		if err := l.add(ctx, g); err != nil {
			return fmt.Errorf("%s, %s, %s: %w", g.job, g.way, g.language, err)
		}
	}
	l.order()
	for _, c := range l.all {
		began := time.Now()
		if _, err := c.call(); err != nil {
			return err
		}
		c.calls = max(1, int(slice/max(1, time.Since(began))))
	}
	for range b.scaled(40 * b.pairs) {
		for _, c := range l.all {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.turn(); err != nil {
				return err
			}
		}
	}
	b.table.grid = languageGrid(l.all)
	return nil
}

func (c *contender) turn() error {
	began := time.Now()
	for range c.calls {
		if _, err := c.call(); err != nil {
			return fmt.Errorf("%s, %s, %s: %w", c.job, c.way, c.language, err)
		}
	}
	c.ns = append(c.ns, float64(time.Since(began).Nanoseconds())/float64(c.calls*c.n))
	return nil
}

// languageJobs are the jobs of the table.
func languageJobs() ([]job, error) {
	path, err := jsonscan.ParsePath("customer.country")
	if err != nil {
		return nil, err
	}
	orders, err := newOrders()
	if err != nil {
		return nil, err
	}
	contains := func(value []byte) bool { return bytes.Contains(value, []byte("ERROR")) }
	inHolland := func(value []byte) bool { return string(jsonscan.Text(nil, jsonscan.Lookup(value, path))) == "NL" }
	always := func([]byte) bool { return true }
	key := []byte("key-1234")
	text := func(i int) (_, value []byte) { return key, textOf100Bytes(i, 1) }
	return []job{
		{"filter: text in 100 B", text, map[string]native{rawFilter: filterStored(contains), rowsFilter: filterRows(contains), pullTransform: copyRows(contains)}},
		{"filter: JSON field in 200 B", func(i int) (_, value []byte) { return key, orderOf200Bytes(i) },
			map[string]native{rawFilter: filterStored(inHolland), rowsFilter: filterRows(inHolland)}},
		{"transform: an order of 200 B", func(i int) (_, value []byte) { return key, orderWithAddress(i) }, map[string]native{rowsTransform: orders.transform}},
		{"transform: a copy of 100 B", text, map[string]native{rowsTransform: copyRows(always), pullTransform: copyRows(always)}},
	}, nil
}

// textOf100Bytes is a value that holds ERROR for percent of the numbers.
func textOf100Bytes(i, percent int) []byte {
	v := bytes.Repeat([]byte{byte('a' + i%26)}, 100)
	if i%100 < percent {
		copy(v[60+i%30:], "ERROR")
	}
	return v
}

// orderWithAddress is one of the values that the transform is measured on.
func orderWithAddress(i int) []byte {
	v := fmt.Appendf(nil, `{"id":%d,"total":12.5,"status":"paid","customer":{"name":"Ann","email":"ann@example.org","country":"NL"},"note":"`, 1_000_000+i)
	return append(append(v, bytes.Repeat([]byte("n"), 200-len(v)-2)...), '"', '}')
}

// committedGuests need no toolchain.
func committedGuests() []jobGuest {
	textConfig, fieldConfig := map[string]string{"text": "ERROR"}, map[string]string{"field": "customer.country", "value": "NL"}
	text, field, order, copied := "filter: text in 100 B", "filter: JSON field in 200 B", "transform: an order of 200 B", "transform: a copy of 100 B"
	committed := func(wasm []byte) func() ([]byte, error) { return func() ([]byte, error) { return wasm, nil } }
	shipped := func() ([]byte, error) {
		wasm, ok := plugins.Module("filter")
		if !ok {
			return nil, errors.New("no filter is shipped")
		}
		return wasm, nil
	}
	var all []jobGuest
	for _, l := range []struct{ name, what string }{{"c", "C"}, {"rust", "Rust"}, {"assemblyscript", "AssemblyScript"}} {
		example := func(name string) func() ([]byte, error) {
			return func() ([]byte, error) { return examples.Module(l.name + "-" + name) }
		}
		all = append(all,
			jobGuest{text, rawFilter, l.what + ", searches all at once", example("scan"), textConfig},
			jobGuest{text, rowsFilter, l.what, example("filter"), textConfig},
			jobGuest{field, rowsFilter, l.what, example("filter"), fieldConfig},
			jobGuest{order, rowsTransform, l.what, example("transform"), nil})
	}
	return append(all,
		jobGuest{text, rawFilter, shippedFilter, shipped, textConfig},
		jobGuest{field, rawFilter, shippedFilter, shipped, map[string]string{"field": "customer.country", "op": "eq", "value": "NL"}},
		jobGuest{text, pullTransform, "WAT", committed(pullFilter), nil},
		jobGuest{copied, rowsTransform, "WAT", committed(rowsCopy), nil},
		jobGuest{copied, pullTransform, "WAT", func() ([]byte, error) { return hostile.Module("pull-copy") }, nil})
}

const shippedFilter = "the shipped filter (Go, C)"

// builtGuests are those in plain Go, which are built now. One that does not build is left out, and the table says so.
func (b *bench) builtGuests(ctx context.Context) []jobGuest {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	example := func(name string) func(out string) error {
		return func(out string) error {
			_, err := project.BuildTo(ctx, filepath.Join(root, "examples", "guests", "go", name), out)
			return err
		}
	}
	sdk := func(out string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, "./guest")
		cmd.Dir, cmd.Env = filepath.Join(root, "spec", "conformance", "redpanda"), append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}
	var all []jobGuest
	for _, g := range []struct {
		guest jobGuest
		build func(out string) error
	}{
		{jobGuest{job: "filter: text in 100 B", way: rowsFilter, language: "plain Go", config: map[string]string{"text": "ERROR"}}, example("filter")},
		{jobGuest{job: "filter: JSON field in 200 B", way: rowsFilter, language: "plain Go", config: map[string]string{"field": "customer.country", "value": "NL"}}, example("filter")},
		{jobGuest{job: "transform: an order of 200 B", way: rowsTransform, language: "plain Go"}, example("transform")},
		{jobGuest{job: "transform: a copy of 100 B", way: pullTransform, language: "Redpanda's Go SDK v1.1.0"}, sdk},
	} {
		out := filepath.Join(b.workDir, fmt.Sprintf("w2-%d.wasm", len(all)))
		if err := g.build(out); err != nil {
			b.table.failures = append(b.table.failures, fmt.Sprintf("left out: %s, %s: %v", g.guest.job, g.guest.language, err))
			continue
		}
		g.guest.wasm = func() ([]byte, error) { return os.ReadFile(out) }
		all = append(all, g.guest)
	}
	return all
}

// chunk is what all guests of a job and way are given, and native Go beside them.
type chunk struct {
	in     []byte
	n      int
	wants  abi.Wants
	native *contender
}

// chunk is the one of a job and way, made for the first guest that asks for it.
func (l *lineUp) chunk(j *job, way string, wants abi.Wants) (*chunk, error) {
	c := l.chunks[[2]string{j.name, way}]
	if c == nil {
		in, n, err := chunkOf(j, wants)
		if err != nil {
			return nil, err
		}
		own := j.native[way]
		c = &chunk{in, n, wants, &contender{job: j.name, way: way, language: "native Go", n: n, call: func() ([]byte, error) { return own(in, n) }}}
		l.chunks[[2]string{j.name, way}] = c
		l.all = append(l.all, c.native)
	}
	if c.wants != wants {
		return nil, fmt.Errorf("it wants %v, and others %v: they would not be given the same bytes", wants, c.wants)
	}
	return c, nil
}

// add starts a guest, which must give the same answer as native Go.
func (l *lineUp) add(ctx context.Context, g jobGuest) error {
	wasm, err := g.wasm()
	if err != nil {
		return err
	}
	p, err := l.host.Load(ctx, wasmhost.Spec{Wasm: wasm, Name: "guest", Outputs: outputsOf(g.way), Config: g.config, Timeout: time.Minute})
	if err != nil {
		return err
	}
	i, err := p.Instance(ctx, nil)
	if err != nil {
		return err
	}
	c, err := l.chunk(&l.jobs[slices.IndexFunc(l.jobs, func(j job) bool { return j.name == g.job })], g.way, p.Wants())
	if err != nil {
		return err
	}
	call := i.Transform
	if p.Filter() {
		call = i.Filter
	}
	guest := &contender{job: g.job, way: g.way, language: g.language, n: c.n, beside: c.native,
		call: func() ([]byte, error) { return call(ctx, abi.Call{Topic: "in"}, c.in, c.n) }}
	l.all = append(l.all, guest)
	return sameAnswer(p.Filter(), guest)
}

// order puts the contenders as the table has them: by job, then way, native Go first.
func (l *lineUp) order() {
	ways := []string{rawFilter, rowsFilter, rowsTransform, pullTransform}
	slices.SortStableFunc(l.all, func(x, y *contender) int {
		job := func(c *contender) int { return slices.IndexFunc(l.jobs, func(j job) bool { return j.name == c.job }) }
		return cmp.Or(job(x)-job(y), slices.Index(ways, x.way)-slices.Index(ways, y.way))
	})
}

// outputsOf is how many outputs a deployment has: the order's transform wants two.
func outputsOf(way string) int {
	if way == rowsTransform {
		return 2
	}
	return 1
}

// chunkOf is as many of a job's records as one call gets, in the form that a guest wants.
func chunkOf(j *job, wants abi.Wants) (in []byte, n int, err error) {
	if !wants.Raw() {
		for {
			key, value := j.record(n)
			more := abi.AppendInputRow(in, wants, 1_700_000_000_000, uint32(n), key, value, []abi.Header(nil))
			if len(more) > abi.ChunkBytes {
				return in, n, nil
			}
			in, n = more, n+1
		}
	}
	builder := record.NewBuilder(nil)
	for ; builder.Size() < abi.ChunkBytes-512; n++ {
		key, value := j.record(n)
		builder.Append(1_700_000_000_000, key, value, nil)
	}
	batch, err := builder.Build()
	if err != nil {
		return nil, 0, err
	}
	return batch.StoredRecords(), n, nil
}

// sameAnswer compares the bitmaps of filters, and what the rows of transforms say.
func sameAnswer(filter bool, guest *contender) error {
	n := guest.n
	got, err := guest.call()
	if err != nil {
		return err
	}
	want, err := guest.beside.call()
	if err != nil {
		return err
	}
	if filter {
		if passing := abi.CountPassing(want, n); passing == 0 || !slices.Equal(got, want) {
			return fmt.Errorf("another answer than native Go's: %d pass instead of %d of %d", abi.CountPassing(got, n), passing, n)
		}
		return nil
	}
	said, err := answerText(got, n)
	if err != nil {
		return err
	}
	meant, err := answerText(want, n)
	if err == nil && (said != meant || said == "") {
		err = fmt.Errorf("another answer than native Go's: %.300s\ninstead of %.300s", said, meant)
	}
	return err
}

// answerText says what rows mean, for records without headers, of which those that are copied are none.
func answerText(rows []byte, n int) (string, error) {
	var text strings.Builder
	r := abi.NewOutputReader(rows, n, 2)
	var row abi.OutputRow
	for {
		ok, err := r.Next(&row)
		if err != nil || !ok {
			return text.String(), err
		}
		fmt.Fprintf(&text, "%d of %d to %d/%d: %q (%v) = %q (%v)", row.Timestamp, row.Source, row.Output, row.Partition, row.Key, row.CopyKey, row.Value, row.CopyValue)
		for key, value := range row.Headers.All {
			fmt.Fprintf(&text, " %q: %q", key, value)
		}
		text.WriteByte('\n')
	}
}

// languageGrid has the median and the least of each contender's rounds, and how they compare to native Go's.
func languageGrid(all []*contender) [][]string {
	grid := [][]string{{"job", "ABI", "in", "median ns", "least ns", "median x native", "least x native"}}
	for _, c := range all {
		least := []float64{slices.Min(c.ns)}
		line := []string{c.job, c.way, c.language, number(c.ns), number(least), "", ""}
		if c.beside != nil {
			line[5], line[6] = ratio(c.ns, c.beside.ns), ratio(least, []float64{slices.Min(c.beside.ns)})
		}
		grid = append(grid, line)
	}
	return grid
}
