package jsonscan

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

const order = ` {"id": 17, "customer": {"name":"Ann \"A\" \u00e9", "emails":["a@x.org","b@x.org"]}, "total": 12.50, "gift":null, "tags":[], "0":"zero"} `

func path(t testing.TB, text string) Path {
	t.Helper()
	p, err := ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLookupFindsWhatLiesAtAPath(t *testing.T) {
	for text, want := range map[string]string{
		"id": "17", "total": "12.50", "gift": "null", "tags": "[]", "0": `"zero"`,
		"customer.name": `"Ann \"A\" \u00e9"`, "customer.emails.1": `"b@x.org"`, "customer.emails": `["a@x.org","b@x.org"]`,
		"customer.emails.2": "", "customer.emails.x": "", "id.x": "", "missing": "", "customer.emails.00": "",
	} {
		if got := Lookup([]byte(order), path(t, text)); string(got) != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestLookupTakesTheLastOfTwoKeys(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1,"a":2}`:             "2",
		`{"a":1,"\u0061":2}`:        "2",
		`{"a":{"b":1},"a":{"c":2}}`: `{"c":2}`,
	} {
		if got := Lookup([]byte(text), path(t, "a")); string(got) != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := Lookup([]byte(`{"a":{"b":1},"a":{"c":2}}`), path(t, "a.b")); got != nil {
		t.Errorf("found %s in an object that was overridden", got)
	}
}

func TestPathsWithEmptyPartsAreRefused(t *testing.T) {
	for _, text := range []string{"", ".", "a.", ".a", "a..b"} {
		if _, err := ParsePath(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestTextIsUnescaped(t *testing.T) {
	for value, want := range map[string]string{
		`"a\u00e9\n\"\\\/"`: "aé\n\"\\/", `"\ud83d\ude00!"`: "😀!", `"\ud83dx"`: "\uFFFDx", `"\ud83d\u0041"`: "\uFFFDA", `"\udead"`: "\uFFFD",
		`12`: "12", `{"a":1}`: `{"a":1}`, `""`: "",
	} {
		if got := Text(nil, []byte(value)); string(got) != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func TestNumbersCompareExactly(t *testing.T) {
	numbers := []string{"0", "-0", "0.0", "0e5", "1", "1.0", "10e-1", "0.1e1", "100", "1e2", "1.00e2", "-1", "-100", "0.05", "5e-2", "12.5", "12.50",
		"9007199254740992", "9007199254740993", "1e-400", "-1e-400", "1e400", "123456789012345678901234567890", "100.5", "0.001", "1000e-6"}
	for _, a := range numbers {
		for _, b := range numbers {
			x, _ := new(big.Rat).SetString(a)
			y, _ := new(big.Rat).SetString(b)
			if got := CompareNumbers([]byte(a), []byte(b)); got != x.Cmp(y) {
				t.Errorf("%s against %s: %d", a, b, got)
			}
		}
	}
	if CompareNumbers([]byte("1e99999999999999999999"), []byte("1e-99999999999999999999")) != 1 {
		t.Error("huge exponents")
	}
}

func edit(t testing.TB, text string, rules map[string]Edit) string {
	t.Helper()
	w := Rewriter{Rules: &Rules{}, Value: func(dst []byte, _ int, _ []byte) []byte { return append(dst, "#"...) }}
	for p, e := range rules {
		if !w.Rules.Add(path(t, p), e, 0) {
			t.Fatalf("%s was not taken", p)
		}
	}
	out, changed, ok := w.Rewrite(nil, []byte(text))
	if !ok {
		return "no JSON"
	}
	if !changed {
		return text
	}
	return string(out)
}

func TestRewriteTouchesNothingElse(t *testing.T) {
	for _, c := range []struct {
		text, want string
		rules      map[string]Edit
	}{
		{`{ "a": 1 , "b":2, "c":3 }`, `{ "b":2, "c":3 }`, map[string]Edit{"a": Remove}},
		{`{ "a": 1 , "b":2, "c":3 }`, `{ "a": 1, "c":3 }`, map[string]Edit{"b": Remove}},
		{`{ "a": 1 , "b":2, "c":3 }`, `{ "a": 1 , "b":2 }`, map[string]Edit{"c": Remove}},
		{`{ "a": 1 , "b":2, "c":3 }`, `{ "c":3 }`, map[string]Edit{"a": Remove, "b": Remove}},
		{`{ "a": 1 , "b":2, "c":3 }`, `{ "b":2 }`, map[string]Edit{"a": Remove, "c": Remove}},
		{`{"a":1,"b":2,"c":3}`, `{}`, map[string]Edit{"a": Remove, "b": Remove, "c": Remove}},
		{`{"a":1,"a":2,"b":3}`, `{"b":3}`, map[string]Edit{"a": Remove}},
		{`{"a":[1,2,3]}`, `{"a":[1,3]}`, map[string]Edit{"a.1": Remove}},
		{`{"a":{"b":{"c":[1]}},"d":{"b":9}}`, `{"a":{"b":#},"d":{"b":9}}`, map[string]Edit{"a.b": Replace}},
		{`[{"a":"x"},{"a":"y"}]`, `[{"a":#},{"a":"y"}]`, map[string]Edit{"0.a": Replace}},
		{`{"\u0061":1}`, `{"\u0061":#}`, map[string]Edit{"a": Replace}},
		{`{"z":1,"y":{}}`, `{"z":1,"y":{}}`, map[string]Edit{"a": Replace, "y.q": Remove}},
		{`{"a":1`, `no JSON`, map[string]Edit{"a": Replace}},
		{`{"a":1} x`, `no JSON`, map[string]Edit{"a": Replace}},
	} {
		if got := edit(t, c.text, c.rules); got != c.want {
			t.Errorf("%s with %v:\n got %s\nwant %s", c.text, c.rules, got, c.want)
		}
	}
}

func TestRulesThatOverlapAreRefused(t *testing.T) {
	r := &Rules{}
	for _, c := range []struct {
		path string
		ok   bool
	}{{"a.b", true}, {"a.b", false}, {"a", false}, {"a.b.c", false}, {"a.c", true}, {"b", true}} {
		if got := r.Add(path(t, c.path), Remove, 0); got != c.ok {
			t.Errorf("%s: %v", c.path, got)
		}
	}
}

func TestTextThatLiesTooDeepIsNoJSON(t *testing.T) {
	for depth, ok := range map[int]bool{maxDepth: true, maxDepth + 1: false, 200_000: false} {
		text := []byte(`{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`)
		if got := Lookup(text, path(t, "a")) != nil; got != ok {
			t.Errorf("depth %d: %v", depth, got)
		}
		w := Rewriter{String: func([]byte) []byte { return nil }}
		if _, _, got := w.Rewrite(nil, text); got != ok {
			t.Errorf("depth %d: rewritten %v", depth, got)
		}
	}
}

// FuzzScan holds the scanner to encoding/json's idea of what is JSON, and a
// rewrite to giving JSON in which the removed key is gone.
func FuzzScan(f *testing.F) {
	f.Add([]byte(order))
	f.Add([]byte(`{"a":{"a":[1,-0.5e+3,"\ud83d\ude00",true,null]},"b":"x"}`))
	f.Add([]byte(`[[],{},"",{"a":1}]`))
	p := Path{{"a", -1}}
	rules := &Rules{}
	rules.Add(p, Remove, 0)
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxDepth {
			return
		}
		valid := json.Valid(text)
		if found := Lookup(text, p); found != nil && (!valid || !json.Valid(found)) {
			t.Fatalf("found %q", found)
		}
		w := Rewriter{Rules: rules, String: func(value []byte) []byte {
			return AppendString(nil, Text(nil, value))
		}}
		out, changed, ok := w.Rewrite(nil, text)
		if ok != valid {
			t.Fatalf("ok %v, valid %v", ok, valid)
		}
		if changed && (!json.Valid(out) || Lookup(out, p) != nil) {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	text := []byte(order)
	p := path(b, "total")
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Lookup(text, p)
	}
}
