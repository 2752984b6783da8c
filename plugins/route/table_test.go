package main

import (
	"strings"
	"testing"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
)

var outputs = []string{"a", "b", "c"}

func TestRecordsGoWhereTheFieldSays(t *testing.T) {
	table, err := parse(millrun.Config{"field": "k.v", "routes": "x:a,1:b,with:colon:c,true:a", "default": "c"}, outputs)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]int{
		`{"k":{"v":"x"}}`: 0, `{"k":{"v":"\u0078"}}`: 0, `{"k":{"v":1}}`: 1, `{"k":{"v":1.0}}`: 1, `{"k":{"v":"1"}}`: 1, `{"k":{"v":"1.0"}}`: 2,
		`{"k":{"v":"with:colon"}}`: 2, `{"k":{"v":true}}`: 0, `{"k":{}}`: 2, `no JSON`: 2,
	} {
		if got := table.route([]byte(value)); got != want {
			t.Errorf("%s goes to %d, want %d", value, got, want)
		}
	}
}

func TestWithoutADefaultTheRestIsDropped(t *testing.T) {
	table, err := parse(millrun.Config{"field": "k", "routes": "x:a"}, outputs)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{`{"k":"y"}`, `{}`, `x`, ``} {
		if got := table.route([]byte(value)); got != -1 {
			t.Errorf("%s goes to %d", value, got)
		}
	}
}

func TestTablesThatContradictAreRefused(t *testing.T) {
	for want, config := range map[string]millrun.Config{
		"field and routes are needed":                          {"field": "a"},
		`routes: "x" is not value:topic`:                       {"field": "a", "routes": "x"},
		`routes: topic "z" is not among the outputs (a, b, c)`: {"field": "a", "routes": "x:z"},
		`default: topic "" is not among`:                       {"field": "a", "routes": "x:a", "default": ""},
		`the value "x" has two topics`:                         {"field": "a", "routes": "x:a,x:b"},
		`the value "1.0" has two topics`:                       {"field": "a", "routes": "1:a,1.0:a"},
		`unknown key "topic" (known: field, routes, default)`:  {"field": "a", "routes": "x:a", "topic": "a"},
		`field: the path ".a" has an empty part`:               {"field": ".a", "routes": "x:a"},
	} {
		if _, err := parse(config, outputs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", config, err, want)
		}
	}
}
