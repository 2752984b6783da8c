package config

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// golden is one setting as Apache Kafka 4.3.1 described it, with its default.
type golden struct {
	Name      string
	Type      string
	Default   *string
	ReadOnly  bool
	Sensitive bool
	Synonyms  []string
}

func readGolden(t *testing.T, file string) []golden {
	t.Helper()
	b, err := os.ReadFile("../../spec/vectors/config/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []golden
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// ourDefaults are the settings whose default is not Kafka's, on purpose: limits that are on (spec/limits.md), and names of
// this node and its directory that Kafka has no default for or a bad one.
var ourDefaults = []string{"max.connections", "queued.max.request.bytes", "sasl.server.max.receive.size", "node.id", "log.dir"}

func TestEntriesAreThoseOfKafka(t *testing.T) {
	s, _, err := ParseBroker(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file    string
		entries []Entry
	}{
		{"broker.json", s.DescribeBroker()},
		{"topic.json", s.DescribeTopic(nil)},
		{"group.json", s.DescribeGroup(nil)},
	} {
		t.Run(c.file, func(t *testing.T) { compareGolden(t, readGolden(t, c.file), c.entries) })
	}
}

func compareGolden(t *testing.T, want []golden, got []Entry) {
	byName := map[string]Entry{}
	for _, e := range got {
		byName[e.Name] = e
	}
	for _, w := range want {
		e, ok := byName[w.Name]
		if !ok {
			t.Errorf("%s is missing", w.Name)
			continue
		}
		delete(byName, w.Name)
		if e.Type.String() != w.Type || e.ReadOnly != w.ReadOnly || e.Sensitive != w.Sensitive {
			t.Errorf("%s: %v read-only %v sensitive %v, Kafka has %+v", w.Name, e.Type, e.ReadOnly, e.Sensitive, w)
		}
		if !slices.Contains(ourDefaults, w.Name) && !w.Sensitive && (e.Nil != (w.Default == nil) || !e.Nil && e.Value != *w.Default) {
			t.Errorf("%s: default %q (nil %v), Kafka has %v", w.Name, e.Value, e.Nil, deref(w.Default))
		}
		for _, y := range e.Synonyms {
			if !slices.Contains(w.Synonyms, y.Name) {
				t.Errorf("%s: synonym %s, Kafka has %v", w.Name, y.Name, w.Synonyms)
			}
		}
	}
	for name := range byName {
		if d, ok := BrokerDef(name); !ok || !d.Own {
			t.Errorf("%s is not Kafka's and not marked as ours", name)
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return "nothing"
	}
	return *s
}
