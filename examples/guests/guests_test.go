package guests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrun/millrun/plugins/project"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

// shared is one host for all tests.
var shared *wasmhost.Host

func TestMain(m *testing.M) {
	shared = wasmhost.New(wasmhost.Config{})
	code := m.Run()
	if err := shared.Close(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// langs that an example is written in. Go is left out by -short: it compiles large modules.
func langs(example string) []string {
	all := []string{"rust", "assemblyscript", "c"}
	if !testing.Short() && example != "scan" {
		all = append([]string{"go"}, all...)
	}
	return all
}

// module is a committed module, or Go's, built now.
func module(t testing.TB, lang, example string) []byte {
	t.Helper()
	if lang != "go" {
		wasm, err := Module(lang + "-" + example)
		if err != nil {
			t.Fatal(err)
		}
		return wasm
	}
	out := filepath.Join(t.TempDir(), "module.wasm")
	_, err := project.BuildTo(context.Background(), filepath.Join("go", example), out)
	var missing *project.Missing
	if errors.As(err, &missing) {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

type config = map[string]string

// start makes an instance of a module with a configuration.
func start(t testing.TB, wasm []byte, outputs int, c config) (*wasmhost.Program, *wasmhost.Instance) {
	t.Helper()
	p, err := shared.Load(context.Background(), wasmhost.Spec{Wasm: wasm, Name: "guest", Outputs: outputs, Config: c})
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.Instance(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(i.Close(context.Background()), p.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return p, i
}

// calls are the records of the test, cut into calls of all sizes.
func calls() [][]record {
	random := rand.New(rand.NewPCG(1, 2))
	all := append(orders(), randomRecords(random, 6_000)...)
	out := [][]record{all[:1]}
	for rest := all; len(rest) > 0; {
		n := min(len(rest), []int{1, 2, 7, 8, 9, 33, 200}[random.IntN(7)])
		out, rest = append(out, rest[:n]), rest[n:]
	}
	return out
}

func TestFiltersInAllLanguagesKeepTheSameRecords(t *testing.T) {
	for _, lang := range langs("filter") {
		t.Run(lang, func(t *testing.T) {
			wasm := module(t, lang, "filter")
			for _, text := range []string{"N", "NL", "LL\\", "\"country\"", "a longer key than sixteen bytes", "Ärger Ärger Ärger Ärger Ärger Ärger Ärger Ä"} {
				compareFilter(t, wasm, config{"text": text}, func(r record) bool { return bytes.Contains(r.value, []byte(text)) })
			}
			for _, c := range []config{{"field": "customer.country", "value": "NL"}, {"field": "id", "value": ""}, {"field": "id", "value": "2"},
				{"field": "customer.1.country", "value": "N/L"}, {"field": "list.1.1", "value": "NL"}, {"field": "list.2.2", "value": "NL"}, {"field": "0", "value": "NL"},
				{"field": "total", "value": "5.0"}, {"field": "x", "value": "a \"b\" \\ \n"}, {"field": "id", "value": "😀\ufffd"}, {"field": "customer", "value": "{}"}} {
				path, err := jsonscan.ParsePath(c["field"])
				if err != nil {
					t.Fatal(err)
				}
				compareFilter(t, wasm, c, func(r record) bool {
					field := jsonscan.Lookup(r.value, path)
					return field != nil && string(jsonscan.Text(nil, field)) == c["value"]
				})
			}
		})
	}
}

func TestScansOfTheStoredBatchFindWhatLookingAtEachRecordFinds(t *testing.T) {
	for _, lang := range langs("scan") {
		t.Run(lang, func(t *testing.T) {
			for _, text := range []string{"N", "NL", "LL\\", "\"country\"", "k1"} {
				compareFilter(t, module(t, lang, "scan"), config{"text": text}, func(r record) bool { return bytes.Contains(r.value, []byte(text)) })
			}
		})
	}
}

func TestScansFailOnRecordsWhoseLengthsLie(t *testing.T) {
	sound := rows(abi.WantRaw, []record{{key: []byte("k"), value: []byte("NL1")}, {key: []byte("k"), value: []byte("NL2")}})
	const size = 11 // of each: length, attributes, timestamp, offset, keyLen, key, valueLen, value, headers
	if len(sound) != 2*size {
		t.Fatalf("the records have %d bytes", len(sound))
	}
	for what, change := range map[string]func(b []byte){
		"a record longer than the batch":    func(b []byte) { b[size] += 2 },
		"a record of a negative length":     func(b []byte) { b[0] = 1 },
		"a key longer than its record":      func(b []byte) { b[4] = 100 },
		"a value longer than its record":    func(b []byte) { b[6] = 12 },
		"a value that begins behind it":     func(b []byte) { b[4] = 12 },
		"a value longer than what is given": func(b []byte) { b[size+6] = 100 },
	} {
		for _, lang := range langs("scan") {
			_, i := start(t, module(t, lang, "scan"), 1, config{"text": "NL"})
			b := bytes.Clone(sound)
			change(b)
			if bitmap, err := i.Filter(context.Background(), abi.Call{Topic: "in"}, b, 2); err == nil {
				t.Errorf("%s: %s: %b, %v in %x", lang, what, bitmap, err, b)
			}
		}
	}
}

// compareFilter asks the module about all records, and says on which it is wrong.
func compareFilter(t *testing.T, wasm []byte, c config, want func(record) bool) {
	t.Helper()
	p, i := start(t, wasm, 1, c)
	kept := 0
	for _, records := range calls() {
		bitmap, err := i.Filter(context.Background(), abi.Call{Topic: "in"}, rows(p.Wants(), records), len(records))
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		for n, r := range records {
			if abi.Passes(bitmap, n) != want(r) {
				t.Fatalf("%v: %v of %.300q", c, abi.Passes(bitmap, n), r.value)
			}
		}
		kept += abi.CountPassing(bitmap, len(records))
	}
	if kept == 0 {
		t.Errorf("%v: no record is kept: this tests nothing", c)
	}
}

func TestTransformsInAllLanguagesMakeTheSameBytes(t *testing.T) {
	all := langs("transform")
	var instances []*wasmhost.Instance
	var wants abi.Wants
	for _, lang := range all {
		p, i := start(t, module(t, lang, "transform"), 2, config{"limit": "10000"})
		instances, wants = append(instances, i), p.Wants()
		if wants != abi.WantValue|abi.WantHeaders {
			t.Errorf("%s wants %v", lang, wants)
		}
	}
	made := map[string]int{}
	for at, records := range calls() {
		call := abi.Call{Topic: strings.Repeat("orders", 1+at%40), Partition: int32(at), BaseOffset: 1<<40 + int64(at), BaseTimestamp: 1}
		in := rows(wants, records)
		want, err := instances[0].Transform(context.Background(), call, in, len(records))
		if err != nil {
			t.Fatalf("%s: %v", all[0], err)
		}
		for n, i := range instances[1:] {
			got, err := i.Transform(context.Background(), call, in, len(records))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: %v, got\n%.2000q, %s has\n%.2000q", all[n+1], err, got, all[0], want)
			}
		}
		count(t, want, len(records), made)
	}
	for _, what := range []string{"output 0", "output 1", "copied whole", "own key", "own time"} {
		if made[what] < 5 {
			t.Errorf("%d rows with %s: this tests little", made[what], what)
		}
	}
}

// count reads rows as the host does.
func count(t *testing.T, made []byte, n int, seen map[string]int) {
	t.Helper()
	reader := abi.NewOutputReader(made, n, 2)
	var r abi.OutputRow
	for {
		ok, err := reader.Next(&r)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		seen[fmt.Sprint("output ", r.Output)]++
		for what, is := range map[string]bool{"copied whole": r.CopyKey && r.CopyValue && r.CopyHeaders, "own key": !r.CopyKey && r.Partition == 0, "own time": r.Timestamp >= 0} {
			if is {
				seen[what]++
			}
		}
	}
}

func TestConfigurationsAreRefusedWithTheSameReason(t *testing.T) {
	for example, cases := range map[string]map[string]config{
		"filter": {
			`unknown key "colour" (known: text, field, value)`: {"text": "x", "colour": "red"},
			"text is empty: every record would match":          {"text": ""},
			"give either text, or field and value":             {"text": "x", "field": "y", "value": "z"},
			"field: ":                                          {"field": "a..b", "value": "x"},
		},
		"transform": {`unknown key "b" (known: limit)`: {"b": ""}, "limit is no number of cents": {"limit": "1e3"}},
		"scan":      {"which text? say --config text=...": {}},
	} {
		for _, lang := range langs(example) {
			wasm := module(t, lang, example)
			for want, c := range cases {
				_, err := shared.Load(context.Background(), wasmhost.Spec{Wasm: wasm, Name: "guest", Outputs: 1, Config: c})
				var e *wasmhost.Error
				if !errors.As(err, &e) || e.Kind != wasmhost.Refused || !strings.Contains(err.Error(), want) {
					t.Errorf("%s %s %v: got %v, want %q", lang, example, c, err, want)
				}
			}
		}
	}
}
