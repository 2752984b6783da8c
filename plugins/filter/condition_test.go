package main

import (
	"strings"
	"testing"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
)

const value = `{"n":10,"s":"abc","esc":"a\u0041\n","deep":{"list":[{"x":true},{"x":false}]},"nil":null,"big":9007199254740993,"numstr":"10"}`

func TestConditionsHoldAsAsked(t *testing.T) {
	for _, c := range []struct {
		config millrun.Config
		value  string
		want   bool
	}{
		{millrun.Config{"field": "n", "value": "10"}, value, true},
		{millrun.Config{"field": "n", "op": "eq", "value": "10.0"}, value, true},
		{millrun.Config{"field": "n", "op": "ne", "value": "1e1"}, value, false},
		{millrun.Config{"field": "n", "op": "lt", "value": "9"}, value, false},
		{millrun.Config{"field": "n", "op": "gt", "value": "9"}, value, true},
		{millrun.Config{"field": "n", "op": "le", "value": "10"}, value, true},
		{millrun.Config{"field": "n", "op": "ge", "value": "10.5"}, value, false},
		{millrun.Config{"field": "big", "op": "eq", "value": "9007199254740992"}, value, false},
		// Only one side is a number: bytes.
		{millrun.Config{"field": "numstr", "op": "lt", "value": "9"}, value, true},
		{millrun.Config{"field": "n", "op": "gt", "value": "abc"}, value, false},
		{millrun.Config{"field": "s", "op": "eq", "value": "abc"}, value, true},
		{millrun.Config{"field": "s", "op": "gt", "value": "abb"}, value, true},
		{millrun.Config{"field": "esc", "op": "eq", "value": "aA\n"}, value, true},
		{millrun.Config{"field": "esc", "op": "contains", "value": "A\n"}, value, true},
		{millrun.Config{"field": "s", "op": "prefix", "value": "ab"}, value, true},
		{millrun.Config{"field": "s", "op": "prefix", "value": "bc"}, value, false},
		{millrun.Config{"field": "s", "op": "matches", "value": "^a.c$"}, value, true},
		{millrun.Config{"field": "n", "op": "matches", "value": "^1"}, value, true},
		{millrun.Config{"field": "nil", "op": "exists"}, value, true},
		{millrun.Config{"field": "none", "op": "exists"}, value, false},
		{millrun.Config{"field": "deep.list.1.x", "op": "eq", "value": "false"}, value, true},
		{millrun.Config{"field": "deep.list.0", "op": "eq", "value": `{"x":true}`}, value, true},
		// Missing, or not JSON: no match, before invert.
		{millrun.Config{"field": "none", "op": "ne", "value": "1"}, value, false},
		{millrun.Config{"field": "none", "op": "eq", "value": "1", "invert": "true"}, value, true},
		{millrun.Config{"field": "n", "value": "10", "invert": "true"}, value, false},
		{millrun.Config{"field": "n", "value": "10", "invert": "false"}, value, true},
		{millrun.Config{"field": "n", "value": "10"}, value + "x", false},
		{millrun.Config{"field": "n", "value": "10"}, "NULL", false},
		{millrun.Config{"text": "abc"}, value, true},
		{millrun.Config{"text": "ABC"}, "not JSON, ABC", true},
		{millrun.Config{"text": "abc"}, "NULL", false},
		{millrun.Config{"text": "abc", "invert": "true"}, "NULL", true},
	} {
		cond, err := parse(c.config)
		if err != nil {
			t.Errorf("%v: %v", c.config, err)
			continue
		}
		v := []byte(c.value)
		if c.value == "NULL" {
			v = nil
		}
		for range 2 { // the second time with scratch in use
			if got := cond.holds(v); got != c.want {
				t.Errorf("%v of %s: %v", c.config, c.value, got)
			}
		}
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	for want, config := range map[string]millrun.Config{
		"exactly one of field and text":          {},
		"give exactly one of field and text":     {"field": "a", "value": "1", "text": "x"},
		"op and value go with field":             {"text": "x", "op": "eq"},
		"text is empty":                          {"text": ""},
		`op "like" is not known`:                 {"field": "a", "op": "like", "value": "1"},
		"op exists takes no value":               {"field": "a", "op": "exists", "value": "1"},
		"op lt needs a value":                    {"field": "a", "op": "lt"},
		`invert is "yes"`:                        {"text": "x", "invert": "yes"},
		"value: error parsing regexp":            {"field": "a", "op": "matches", "value": "("},
		`field: the path "a..b" has an empty`:    {"field": "a..b", "value": "1"},
		`unknown key "a", "b" (known: field, op`: {"b": "", "a": ""},
	} {
		if _, err := parse(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", config, err, want)
		}
	}
}
