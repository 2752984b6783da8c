package main

import (
	"strings"
	"testing"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
)

func redacted(t *testing.T, config millrun.Config, value string) string {
	t.Helper()
	r, err := parse(config)
	if err != nil {
		t.Fatalf("%v: %v", config, err)
	}
	var out string
	for range 2 { // the second time in buffers that were used
		got, changed := r.redact([]byte(value))
		out = string(got)
		if !changed {
			out = "as it was"
		}
	}
	return out
}

func TestFieldsAreRemovedMaskedAndHashed(t *testing.T) {
	for _, c := range []struct {
		config      millrun.Config
		value, want string
	}{
		{millrun.Config{"remove": "a"}, `{"z":1,"a":2,"b":3}`, `{"z":1,"b":3}`},
		{millrun.Config{"mask": "a.b,c"}, `{"c":17,"a":{"x":1,"b":{"y":2}}}`, `{"c":"***","a":{"x":1,"b":"***"}}`},
		{millrun.Config{"hash": "a"}, `{"a":"abc"}`, `{"a":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}`},
		{millrun.Config{"hash": "a"}, `{"a":"\u0061bc"}`, `{"a":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}`},
		{millrun.Config{"hash": "a"}, `{"a":123}`, `{"a":"a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"}`},
		{millrun.Config{"remove": "a", "mask": "b", "hash": "d"}, `{"x":1}`, "as it was"},
		{millrun.Config{"mask": "list.1.a"}, `{"list":[{"a":1},{"a":2}]}`, `{"list":[{"a":1},{"a":"***"}]}`},
		{millrun.Config{"mask": "a"}, `{"a":1`, "as it was"},
		{millrun.Config{"mask": "a"}, ``, "as it was"},
	} {
		if got := redacted(t, c.config, c.value); got != c.want {
			t.Errorf("%v of %s:\n got %s\nwant %s", c.config, c.value, got, c.want)
		}
	}
	r, err := parse(millrun.Config{"patterns": "card"})
	if err != nil {
		t.Fatal(err)
	}
	if got, changed := r.redact(nil); changed || got != nil {
		t.Errorf("a tombstone became %q", got)
	}
}

func TestPatternsAreMaskedInAllStrings(t *testing.T) {
	both := millrun.Config{"patterns": "card,email"}
	for value, want := range map[string]string{
		`{"a":["pay 4111 1111 1111 1111 now"]}`:           `{"a":["pay *** now"]}`,
		`{"a":"4111-1111-1111-1111"}`:                     `{"a":"***"}`,
		`{"a":"378282246310005"}`:                         `{"a":"***"}`,
		`{"a":"4111111111111112"}`:                        "as it was", // wrong check digit
		`{"a":4111111111111111}`:                          "as it was", // a number is no string
		`{"a":"41111111111111114111"}`:                    "as it was", // part of a longer number
		`{"4111111111111111":1}`:                          "as it was", // a key is no value
		`{"a":"write to ann.b+c@mail.example.org, now."}`: `{"a":"write to ***, now."}`,
		`{"a":"ann\u0040example.org"}`:                    `{"a":"***"}`,
		`{"a":"\"x@y.org\"\n\u0001"}`:                     `{"a":"\"***\"\n\u0001"}`,
		`{"a":"a@b, @c.org, d@e.1"}`:                      "as it was",
		`{"a":"x@y.org z@w.com 4111111111111111"}`:        `{"a":"*** *** ***"}`,
		`no JSON: x@y.org, 4111 1111 1111 1111`:           `no JSON: ***, ***`,
	} {
		if got := redacted(t, both, value); got != want {
			t.Errorf("%s:\n got %s\nwant %s", value, got, want)
		}
	}
	if got := redacted(t, millrun.Config{"patterns": "email"}, `{"a":"x@y.org 4111111111111111"}`); got != `{"a":"*** 4111111111111111"}` {
		t.Errorf("email alone: %s", got)
	}
	if got := redacted(t, millrun.Config{"patterns": "email", "hash": "a"}, `{"a":"abc","b":"x@y.org"}`); !strings.HasSuffix(got, `15ad","b":"***"}`) {
		t.Errorf("with a hash: %s", got)
	}
}

func TestConfigurationsThatContradictAreRefused(t *testing.T) {
	for want, config := range map[string]millrun.Config{
		"give at least one of":                 {},
		`unknown key "masks"`:                  {"masks": "a"},
		"hash: a overlaps with another path":   {"mask": "a", "hash": "a"},
		"mask: a overlaps with another path":   {"mask": "a.b,a"},
		"hash: a.b overlaps with another path": {"remove": "a", "hash": "a.b"},
		"remove: an empty path":                {"remove": "a,"},
		`patterns: "iban" is not known`:        {"patterns": "card,iban"},
		"patterns: card is named twice":        {"patterns": "card,card"},
		`patterns: "" is not known`:            {"patterns": ""},
	} {
		if _, err := parse(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", config, err, want)
		}
	}
}
