package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrun/millrun/plugins"
	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/wasmhost"
)

// conditions are configurations of every kind.
var conditions = []millrun.Config{
	{"text": "abc"}, {"text": "a"}, {"text": `"n":10,"s"`, "invert": "true"},
	{"field": "n", "value": "10"}, {"field": "n", "op": "ne", "value": "10"}, {"field": "n", "op": "lt", "value": "10.5"}, {"field": "n", "op": "le", "value": "-0.5"},
	{"field": "n", "op": "gt", "value": "0"}, {"field": "n", "op": "ge", "value": "999999999999999"}, {"field": "n", "op": "gt", "value": "1e1"},
	{"field": "n", "op": "lt", "value": "1234567890123456"}, {"field": "n", "op": "eq", "value": "0.123456789"}, {"field": "n", "op": "lt", "value": "abc"},
	{"field": "s", "value": "abc"}, {"field": "s", "op": "ne", "value": "abc"}, {"field": "s", "op": "lt", "value": "b"}, {"field": "s", "op": "ge", "value": "10"},
	{"field": "s", "op": "contains", "value": "bc"}, {"field": "s", "op": "contains", "value": ""}, {"field": "s", "op": "prefix", "value": "a"}, {"field": "s", "op": "prefix", "value": ""},
	{"field": "s", "op": "matches", "value": "^a.c$"}, {"field": "s", "op": "exists"}, {"field": "d.l.1.n", "op": "ge", "value": "1"}, {"field": "d.l.1.n", "op": "exists", "invert": "true"},
	{"field": "s", "value": ""}, {"field": "s", "value": strings.Repeat("abc", 20), "op": "le"}, {"field": "a\nb", "op": "exists"}, {"field": "d", "value": `{"l":[]}`},
}

// samples are values in which those fields lie, and much that is no JSON.
func samples(n int) [][]byte {
	r := rand.New(rand.NewPCG(5, 6))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	number := func() string {
		return pick("0", "-0", "10", "10.0", "10.5", "-0.5", "-0.50", "1e1", "1E+1", "100", "9", "999999999999999", "1000000000000000", "1234567890123456", "0.123456789", "0.12345678", "1e-400", "01", "1.", "-")
	}
	text := func() string {
		return pick(`"abc"`, `"abd"`, `""`, `"a\u0062c"`, `"10"`, `"xabcx"`, `"a"`, `"`+strings.Repeat("abc", 20)+`"`, `"\\"`, `"é"`, number(), "null", "true", "[1]", "{}", `"a`)
	}
	out := [][]byte{nil, {}, []byte("abc"), []byte("not JSON, abc")}
	for len(out) < n {
		fields := []string{`"n":` + number(), `"s":` + text(), `"x":` + text(), `"pad":"` + strings.Repeat("p", r.IntN(60)) + `"`,
			`"d":{"l":[` + pick("", `{"n":0},{"n":`+number()+`}`, `1,{"n":"1"}`) + `]}`, `"\u006e":` + number(), `"a\nb":1`, `"s" : ` + text()}
		r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		v := []byte("{" + strings.Join(fields[:1+r.IntN(len(fields))], pick(",", ",", ", ", ",\n")) + "}")
		if r.IntN(6) == 0 {
			v[r.IntN(len(v))] = `{}[]",:\ 0a`[r.IntN(11)]
		}
		out = append(out, v)
	}
	return out
}

func TestTheModuleDecidesAsTheCondition(t *testing.T) {
	decidesAsTheCondition(t, conditions, samples(3000))
}

// The module keeps the layout that most records of a topic have. Here every second record has it, and the others are that one
// with a change at every place: other values, other keys, and much that is no JSON any more.
func TestTheModuleDecidesAsTheConditionAboutRecordsOfOneLayout(t *testing.T) {
	const base = `{"id":1234567,"deep":{"name":"Ann", "country":"NL","list":["a",-1,true,null,{"n":0}]},"total":12.5,"esc":"a\"b\u00e9","s" : "abc","pad":"pppppppppppppppppppppppppppppp"}`
	var values [][]byte
	add := func(parts ...string) { values = append(values, []byte(base), []byte(strings.Join(parts, ""))) }
	for i := range len(base) {
		add(base[:i], base[i+1:])
		add(base[:i])
		for _, c := range []string{`"`, `\`, ",", ":", "{", "}", "[", "]", "0", "7", "a", " ", "\n", "\x01", ".", "-", "e", `"x"`, "null", "12345678901234567", "é"} {
			add(base[:i], c, base[i:])
			add(base[:i], c, base[i+1:])
		}
	}
	add(base, " ")
	add(base, base)
	decidesAsTheCondition(t, []millrun.Config{
		{"field": "deep.country", "value": "NL"}, {"field": "total", "op": "ge", "value": "12.5"}, {"field": "deep.list.1", "op": "lt", "value": "0"},
		{"field": "deep.list.3", "op": "exists"}, {"field": "deep.list.4.n", "value": "0"}, {"field": "s", "op": "ne", "value": "abc", "invert": "true"},
		{"field": "esc", "op": "contains", "value": `"bé`}, {"field": "id", "op": "le", "value": "1234567"}, {"field": "deep", "op": "exists"},
		{"field": "none", "op": "exists"},
	}, values)
}

// decidesAsTheCondition gives values to the module under each configuration.
func decidesAsTheCondition(t *testing.T, configs []millrun.Config, values [][]byte) {
	if testing.Short() {
		t.Skip("compiling a plain-Go guest takes a second: not with -short")
	}
	wasm, _ := plugins.Module("filter")
	h := wasmhost.New(wasmhost.Config{CacheDir: t.TempDir()})
	defer h.Close(context.Background())
	var records []wasmhost.Record
	for i, v := range values {
		records = append(records, wasmhost.Record{Offset: int64(i) * 5, Timestamp: int64(i * i * 1000), Key: bytes.Repeat([]byte("k"), i%300), Value: v})
		if i%4 == 0 {
			records[i].Key = nil
		}
	}
	for _, config := range configs {
		c, err := parse(config)
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Load(context.Background(), wasmhost.Spec{Wasm: wasm, Name: "filter", Outputs: 1, Config: config})
		if err != nil {
			t.Fatal(err)
		}
		passed := make([]bool, len(records))
		out, err := p.Try(context.Background(), "in", 0, records, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out {
			passed[o.Source] = true
		}
		for i := range records {
			if want := c.holds(records[i].Value); passed[i] != want {
				t.Fatalf("%v of %q: %v", config, records[i].Value, passed[i])
			}
		}
		if len(out) == 0 || len(out) == len(records) {
			t.Logf("%v: %d of %d pass", config, len(out), len(records))
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// section is values as records stand in a batch.
func section(values [][]byte) []byte {
	var out []byte
	for i, v := range values {
		body := binary.AppendVarint(binary.AppendVarint([]byte{0}, int64(i)), int64(i))
		body = append(binary.AppendVarint(body, 1), 'k')
		if v == nil {
			body = binary.AppendVarint(body, -1)
		} else {
			body = append(binary.AppendVarint(body, int64(len(v))), v...)
		}
		body = append(body, 0)
		out = append(binary.AppendVarint(out, int64(len(body))), body...)
	}
	return out
}

func TestWhatIsInDoubtIsDecidedByTheCondition(t *testing.T) {
	values := samples(500)
	in := section(values)
	for _, config := range conditions {
		c, err := parse(config)
		if err != nil {
			t.Fatal(err)
		}
		bits := make([]byte, (len(values)+7)/8)
		if err := newScanner(&c).scan(in, len(values), bits); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if got := bits[i>>3]>>(i&7)&1 == 1; got != c.holds(v) {
				t.Errorf("%v of %q: %v", config, v, got)
			}
		}
	}
	c, _ := parse(millrun.Config{"text": "x"})
	if err := newScanner(&c).scan([]byte{200, 1, 0}, 1, make([]byte, 1)); err == nil {
		t.Error("records that are none were taken")
	}
}

func TestNumbersFitADecimalOrAreInDoubt(t *testing.T) {
	for text, want := range map[string]decimal{
		"0": {}, "-12.5": {12, 50_000_000, 1}, "999999999999999.00000001": {999_999_999_999_999, 1, 0}, "0.12345678": {0, 12_345_678, 0},
	} {
		if got, ok := decimalOf(text); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"1e1", "1E1", "1000000000000000", "0.123456789"} {
		if got, ok := decimalOf(text); ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}
