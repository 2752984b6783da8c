// Package c_test holds millrun.h to what the Go SDK and the host mean: it builds guests of testdata and runs them.
package c_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

// build compiles a guest of testdata as the header's comment says.
func build(t *testing.T, source string, flags ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiling C takes seconds: not with -short")
	}
	if err := exec.Command("python3", "-m", "ziglang", "version").Run(); err != nil {
		t.Skip("there is no compiler: install PyPI's ziglang")
	}
	for _, file := range []string{"millrun.h", filepath.Join("testdata", source)} { // so that go test knows what the result depends on
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "module.wasm")
	args := append([]string{"-m", "ziglang", "cc", "-target", "wasm32-freestanding", "-O3", "-msimd128", "-mbulk-memory", "-nostdlib",
		"-Wl,--no-entry", "-Wl,-z,stack-size=65536", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-s", "-I.", "-o", out}, flags...)
	if text, err := exec.Command("python3", append(args, filepath.Join("testdata", source))...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", source, err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

func load(t *testing.T, wasm []byte, outputs int, config map[string]string) (*wasmhost.Program, error) {
	t.Helper()
	h := wasmhost.New(wasmhost.Config{})
	t.Cleanup(func() { h.Close(context.Background()) })
	return h.Load(context.Background(), wasmhost.Spec{Wasm: wasm, Name: "m", Outputs: outputs, Config: config})
}

func mustLoad(t *testing.T, wasm []byte, outputs int) *wasmhost.Program {
	t.Helper()
	p, err := load(t, wasm, outputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask is a record that testdata/check.c is to work on: value[:cut] is the text.
func ask(op byte, cut int, arg, value string) wasmhost.Record {
	return wasmhost.Record{Timestamp: 100, Key: append([]byte{op, byte(cut), byte(cut >> 8)}, arg...), Value: []byte(value)}
}

func run(t *testing.T, p *wasmhost.Program, records []wasmhost.Record) []wasmhost.Output {
	t.Helper()
	for i := range records {
		records[i].Offset = 1000 + int64(i)
	}
	out, err := p.Try(context.Background(), "orders", 7, records, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJSONFieldsAreThoseOfTheGoScanner(t *testing.T) {
	p := mustLoad(t, build(t, "check.c"), 2)
	var records []wasmhost.Record
	add := func(op byte, cut int, path, text string) {
		if cut < 1<<16 {
			records = append(records, ask(op, cut, path, text))
		}
	}
	for _, text := range texts() {
		for _, path := range []string{"a", "b", "a.b", "a.0", "0", "0.1", "a.a.a", "b.1.a", "long key of more than sixteen bytes"} {
			add('f', len(text), path, text)
			add('t', len(text), path, text)
		}
		for cut := range min(len(text), 80) { // what follows must make no difference
			add('f', cut, "a", text)
			add('f', cut, "0", text)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		text := randomJSON(r)
		add('f', len(text)-r.IntN(2)*r.IntN(len(text)), []string{"a", "b.a", "a.0", "1"}[r.IntN(4)], text)
	}
	found := 0
	for i, out := range run(t, p, records) {
		key := records[i].Key
		text := records[i].Value[:binary.LittleEndian.Uint16(key[1:])]
		path, err := jsonscan.ParsePath(string(key[3:]))
		if err != nil {
			t.Fatal(err)
		}
		want := jsonscan.Lookup(bytes.Clone(text), path)
		if want != nil && key[0] == 't' {
			want = jsonscan.Text(nil, want)
		}
		if want != nil {
			found++
		}
		if !bytes.Equal(out.Value, want) || (out.Value == nil) != (want == nil) {
			t.Errorf("%c %s in %q: %q, want %q", key[0], key[3:], text, out.Value, want)
		}
	}
	t.Logf("%d texts, %d with a field", len(records), found)
}

// texts are those that have gone wrong in some scanner.
func texts() []string {
	out := []string{
		"", " ", "1", " 1 ", "1 ,", "null", "nul", "truex", `"a"`, `"a`, `{}`, `{ }`, `[]`, `[ ]`, `{"a":1}`, ` { "a" : 1 , "b" : [ 1 , 2 ] } `, `{"a":1,}`, `{"a":1}}`,
		`{"a":{"b":1},"a":{"c":2}}`, `{"a":{"b":1},"a":5}`, `{"a":1,"\u0061":2}`, `{"\u0061":{"b":"\u00e9\n\ud83d\ude00\udead"}}`, `[[1,2],[3,4]]`, `{"0":[1,"x"]}`,
		`{"a":[{"a":1},{"a":[1,[2]]}],"b":[1,{"a":"deep"}]}`, `{"a":-0.5e+10,"b":01}`, `{"a":-0.5e+10,"b":1.}`, `{"a":12345678901234567890123.45678901234567890123e12}`,
		`{"a":-}`, `{"a":1.,"b":2}`, `{"b":12.x5,"a":2}`, `{"b":1.5,"a":2.25,"c":3}`, `{"b":12345678901234567,"a":1.12345678901234567,"c":3}`, `{"a":1e}`, `{"a":tru}`, `{"a":falsy}`, `{"a":false,"b":true,"c":null}`, "{\"a\":\"\n\"}", `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\"}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`,
		`{"long key of more than sixteen bytes":"a string that is longer than sixteen bytes too","a":"\\"}`, `{"a":"sixteen bytes ok","b":"sixteen bytes+1 x"}`,
		`{"a":"exactly thirty-two bytes of text","b":"x\"y"}`, `[1,2`, `[1 2]`, `{"a":[}`, `{"a":{]`, "\t\r\n {\"a\":\n1}\n", `{"a":"` + strings.Repeat("é", 40) + `"}`,
	}
	for _, depth := range []int{62, 63, 64, 65, 127, 128, 129, 998, 999, 1000, 1001} {
		out = append(out, `{"a":`+strings.Repeat("[", depth-1)+strings.Repeat("]", depth-1)+`}`,
			strings.Repeat(`{"a":[`, depth/2)+`1`+strings.Repeat(`]}`, depth/2), strings.Repeat(`[{"b":0,"a":`, depth/2)+`1`+strings.Repeat(`}]`, depth/2))
	}
	return out
}

func randomJSON(r *rand.Rand) string {
	var b strings.Builder
	var value func(depth int)
	blank := func() { b.WriteString([]string{"", "", "", " ", "\n\t"}[r.IntN(5)]) }
	text := func() {
		parts := []string{"a", "b", `\u0061`, `\\`, `\"`, "0", "é", "text of some length ", "x"}
		b.WriteByte('"')
		for range r.IntN(4) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		b.WriteByte('"')
	}
	value = func(depth int) {
		blank()
		n := r.IntN(7)
		if depth == 0 {
			n %= 4
		}
		switch {
		case n < 3 && depth < 4:
			b.WriteByte('{')
			for i := range r.IntN(4) {
				if i > 0 {
					b.WriteByte(',')
				}
				blank()
				if r.IntN(2) == 0 {
					b.WriteString([]string{`"a"`, `"b"`, `"0"`, `"1"`}[r.IntN(4)])
				} else {
					text()
				}
				blank()
				b.WriteByte(':')
				value(depth + 1)
			}
			b.WriteByte('}')
		case n == 3 && depth < 4:
			b.WriteByte('[')
			for i := range r.IntN(4) {
				if i > 0 {
					b.WriteByte(',')
				}
				value(depth + 1)
			}
			b.WriteByte(']')
		case n < 6:
			text()
		default:
			b.WriteString([]string{"0", "-1", "12.50", "1e9", "true", "false", "null", "123456789012345678"}[r.IntN(8)])
		}
		blank()
	}
	value(0)
	out := []byte(b.String())
	if r.IntN(3) == 0 && len(out) > 0 { // break it
		out[r.IntN(len(out))] = `{}[]",:\ 0a`[r.IntN(11)]
	}
	return string(out) + " "[:r.IntN(2)]
}

func number(b []byte) int { return int(int32(binary.LittleEndian.Uint32(b))) }

func TestSearchesAndComparisonsAreThoseOfThePackageBytes(t *testing.T) {
	p := mustLoad(t, build(t, "check.c"), 2)
	r := rand.New(rand.NewPCG(3, 4))
	var records []wasmhost.Record
	for range 20_000 {
		text := make([]byte, r.IntN(200))
		for i := range text {
			text[i] = "ab\xff"[r.IntN(3)]
		}
		cut := r.IntN(len(text) + 1)
		arg := []byte("ab\xffba")[:r.IntN(6)]
		if r.IntN(2) == 0 {
			arg = text[r.IntN(len(text)+1):]
			arg = arg[:r.IntN(len(arg)+1)]
		}
		records = append(records, ask("ice"[r.IntN(3)], cut, string(arg), string(text)))
	}
	for i, out := range run(t, p, records) {
		key := records[i].Key
		text, arg := records[i].Value[:binary.LittleEndian.Uint16(key[1:])], key[3:]
		got, want := number(out.Value), 0
		bit := func(n int, b bool) {
			if b {
				want |= 1 << n
			}
		}
		switch key[0] {
		case 'i':
			want = bytes.Index(text, arg)
		case 'c':
			got, want = max(-1, min(1, got)), bytes.Compare(text, arg)
		case 'e':
			bit(0, bytes.Equal(text, arg))
			bit(1, bytes.HasPrefix(text, arg))
			bit(2, bytes.Contains(text, arg))
		}
		if got != want {
			t.Errorf("%c of %q and %q: %d, want %d", key[0], text, arg, got, want)
		}
	}
}

func TestPathsAreTakenAsInGo(t *testing.T) {
	p := mustLoad(t, build(t, "check.c"), 2)
	var records []wasmhost.Record
	for _, text := range []string{"", ".", "a.", ".a", "a..b", "a", "a.b.0", strings.Repeat("a.", 999) + "a", strings.Repeat("a.", 1000) + "a"} {
		records = append(records, ask('p', 0, text, ""))
	}
	for i, out := range run(t, p, records) {
		path, _ := jsonscan.ParsePath(string(records[i].Key[3:]))
		if got := number(out.Value); got != len(path) {
			t.Errorf("%.20q has %d parts, want %d", records[i].Key[3:], got, len(path))
		}
	}
}

func TestRowsCarryWhatWasSetAndCopyTheRest(t *testing.T) {
	p := mustLoad(t, build(t, "check.c"), 2)
	records := []wasmhost.Record{ask('r', 0, "", "value"), ask('h', 0, "two", ""), ask('h', 0, "none", ""), ask('n', 0, "", ""), ask('o', 0, "", "")}
	for i := range records {
		records[i].Headers = []abi.Header{{Key: "two", Value: []byte("first")}, {Key: "n", Value: nil}, {Key: "two", Value: []byte("second")}}
	}
	var got []string
	for _, o := range run(t, p, records) {
		value := fmt.Sprintf("%q", o.Value)
		if o.Value == nil {
			value = "null"
		}
		line := fmt.Sprintf("%d: output %d partition %d time %d key %q value %s", o.Source, o.Output, o.Partition, o.Timestamp, o.Key, value)
		for _, h := range o.Headers {
			line += fmt.Sprintf(" %s=%s", h.Key, h.Value)
		}
		got = append(got, line)
	}
	all := " two=first n= two=second"
	want := []string{
		`0: output 1 partition -1 time 100 key "r\x00\x00" value "value"` + all,
		`0: output 0 partition 3 time 101 key "k" value null` + all + " added=",
		`0: output 1 partition -1 time 100 key "r\x00\x00" value ""`,
		`0: output 0 partition -1 time 100 key "r\x00\x00" value "value" only=one`,
		`1: output 0 partition -1 time 100 key "h\x00\x00two" value "second"` + all,
		`2: output 0 partition -1 time 100 key "h\x00\x00none" value "no such header"` + all,
		`3: output 0 partition -1 time 100 key "n\x00\x00" value "\x03\x00\x00\x00"` + all,
		`4: output 0 partition -1 time 1004 key "o\x00\x00" value "\a\x00\x00\x00"` + all,
		`4: output 0 partition -1 time 100 key "o\x00\x00" value "orders"` + all,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestARefusalIsTheReasonOfTheDeploy(t *testing.T) {
	wasm := build(t, "check.c")
	for want, config := range map[string]map[string]string{
		`unknown key "colour" (known: a, b)`:       {"colour": "red", "b": "1"},
		"a reason with \" \\ \n é 😀 and \u0001 it": {"a": "a reason with \" \\ \n é 😀 and \u0001 it"},
	} {
		if _, err := load(t, wasm, 2, config); err == nil || !strings.Contains(err.Error(), strings.Split(want, "\n")[0]) {
			t.Errorf("%v: %v", config, err)
		}
	}
	if _, err := load(t, build(t, "raw.c"), 1, map[string]string{"x": "y"}); err == nil || !strings.Contains(err.Error(), `unknown key "x" (known: none)`) {
		t.Errorf("a module without configure: %v", err)
	}
	p := mustLoad(t, wasm, 2)
	if _, err := p.Try(context.Background(), "in", 0, []wasmhost.Record{{Key: []byte("xyz")}}, nil); err == nil || !strings.Contains(err.Error(), "an unknown key") {
		t.Errorf("map refused: %v", err)
	}
}

func TestAFilterKeepsTheSameWhateverItReads(t *testing.T) {
	var records []wasmhost.Record
	var want []int
	for i := range 3000 {
		r := wasmhost.Record{Offset: int64(i) * 3, Timestamp: int64(i * i), Key: []byte("key"), Value: fmt.Appendf(nil, "key%d", i)}
		switch i % 7 {
		case 1:
			r.Value = nil
		case 2:
			r.Value = bytes.Repeat([]byte("k"), i)
		case 3:
			r.Key, r.Headers = nil, []abi.Header{{Key: "h", Value: []byte("v")}}
		}
		if i%7 != 1 && i%7 != 2 {
			want = append(want, i)
		}
		records = append(records, r)
	}
	for _, flags := range [][]string{nil, {"-DROWS"}, {"-DBATCH"}} {
		out, err := mustLoad(t, build(t, "raw.c", flags...), 1).Try(context.Background(), "in", 0, records, nil)
		if err != nil || len(out) != len(want) {
			t.Fatalf("%v: %d records, want %d, %v", flags, len(out), len(want), err)
		}
		for n := range out {
			if out[n].Source != want[n] {
				t.Fatalf("%v: record %d, want %d", flags, out[n].Source, want[n])
			}
		}
	}
}

func TestAFilterFailsOnStoredRecordsWhoseLengthsLie(t *testing.T) {
	stored := []byte{20, 0, 0, 0, 2, 'k', 6, 'k', 'e', 'y', 0}
	for _, flags := range [][]string{nil, {"-DBATCH"}} {
		p := mustLoad(t, build(t, "raw.c", flags...), 1)
		for _, c := range []struct {
			at    int
			bytes []byte
			n     int
		}{
			{0, nil, 1}, // sound
			{0, []byte{22}, 1}, {0, []byte{1}, 1}, {0, []byte{14}, 1}, {0, []byte{0}, 1}, {4, []byte{12}, 1}, {4, []byte{14}, 1}, {4, []byte{0x80, 0x80, 0x80, 0x80, 0x20}, 1},
			{6, []byte{10}, 1}, {6, []byte{0x80, 0x80, 0x80, 0x80, 0x20}, 1}, {0, nil, 2},
		} {
			i, err := p.Instance(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			in := bytes.Clone(stored)
			copy(in[c.at:], c.bytes)
			if bitmap, err := i.Filter(t.Context(), abi.Call{Topic: "in"}, in, c.n); (err == nil) != (c.bytes == nil && c.n == 1) {
				t.Errorf("%v: %d records in %x: %v, %v", flags, c.n, in, bitmap, err)
			}
			if err := i.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}
