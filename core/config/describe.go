package config

import (
	"maps"
	"slices"
	"strings"
)

// Entry is one setting as DescribeConfigs shows it.
type Entry struct {
	Name      string
	Type      Type // 0 for a name that nobody knows
	Value     string
	Nil       bool // there is no value, or it is a secret
	Source    Source
	ReadOnly  bool
	Sensitive bool
	Doc       string
	Synonyms  []Synonym // the values that could apply, the one in force first
}

// Synonym is one of the values that a setting could have.
type Synonym struct {
	Name   string
	Value  string
	Nil    bool // the value is a secret
	Source Source
}

// synonymsOf are the names under which a broker setting may be given, the one that wins first.
func synonymsOf(name string) []string {
	switch name {
	case "log.roll.ms", "log.roll.hours":
		return []string{"log.roll.ms", "log.roll.hours"}
	case "log.roll.jitter.ms", "log.roll.jitter.hours":
		return []string{"log.roll.jitter.ms", "log.roll.jitter.hours"}
	case "log.flush.interval.ms":
		return []string{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}
	case "log.retention.ms", "log.retention.minutes", "log.retention.hours":
		return []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"}
	}
	return []string{name}
}

// synonyms lists the values of a broker setting in the order in which they win. As in Kafka, what comes before the
// setting's own name is left out.
func (s *BrokerSettings) synonyms(name string) []Synonym {
	names := synonymsOf(name)
	d, known := BrokerDef(name)
	secret := !known || d.Sensitive()
	var all []Synonym
	add := func(name, value string, source Source) {
		if secret {
			value = ""
		}
		all = append(all, Synonym{Name: name, Value: value, Nil: secret, Source: source})
	}
	for _, l := range s.layers() {
		for _, n := range names {
			if v, ok := l.values[n]; ok {
				add(n, v, l.source)
			}
		}
	}
	for _, n := range names {
		if def, ok := BrokerDef(n); ok && !def.Nil {
			add(n, def.Default, FromDefault)
		}
	}
	for i := range all {
		if all[i].Name == name {
			return all[i:]
		}
	}
	return nil
}

// DescribeBroker lists every setting of the broker by name, and whatever else it was given.
func (s *BrokerSettings) DescribeBroker() []Entry {
	names := map[string]bool{}
	for i := range Broker {
		names[Broker[i].Name] = !Broker[i].Internal
	}
	for _, l := range s.layers() {
		for name := range l.values {
			names[name] = true
		}
	}
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] {
			entries = append(entries, s.describeBroker(name))
		}
	}
	return entries
}

func (s *BrokerSettings) describeBroker(name string) Entry {
	e := Entry{Name: name, ReadOnly: true, Sensitive: true, Nil: true, Source: FromDefault, Synonyms: s.synonyms(name)}
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	found, known := s.settings[name]
	if !known {
		e.ReadOnly = !strings.HasPrefix(name, listenerPrefix)
		return e
	}
	e.Type, e.Doc, e.ReadOnly, e.Sensitive = found.def.Type, found.def.Doc, found.def.ReadOnly(), found.def.Sensitive()
	if !e.Sensitive {
		e.Value, e.Nil = found.value.text, found.isNil
	}
	return e
}

// DescribeClusterDefault lists the settings that were changed at run time for all brokers.
func (s *BrokerSettings) DescribeClusterDefault() []Entry {
	only := newBrokerSettings(nil, s.cluster, nil)
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(s.cluster)) {
		e := only.describeBroker(name)
		e.Synonyms = slices.DeleteFunc(e.Synonyms, func(y Synonym) bool { return y.Source != FromDynamicDefault })
		e.Source = FromDynamicDefault
		entries = append(entries, e)
	}
	return entries
}

// DescribeTopic lists every setting of a topic with these settings of its own.
func (s *BrokerSettings) DescribeTopic(overrides map[string]string) []Entry {
	return describe(Topic, FromTopic, overrides, s.topicDefault, s.synonyms)
}

// DescribeGroup lists every setting of a group with these settings of its own.
func (s *BrokerSettings) DescribeGroup(overrides map[string]string) []Entry {
	return describe(Group, FromGroup, overrides, func(d *Def) value {
		if found, ok := s.settings[d.Synonym]; ok {
			return found.value
		}
		v, _ := parse(d, d.Default)
		return v
	}, func(name string) []Synonym {
		if d, ok := GroupDef(name); ok { // a setting without a synonym stands for itself
			return []Synonym{{Name: name, Value: d.Default, Source: FromDefault}}
		}
		return s.synonyms(name)
	})
}

// DescribeClientMetrics lists every setting of a client metrics subscription with these settings of its own.
func DescribeClientMetrics(overrides map[string]string) []Entry {
	return describe(ClientMetrics, FromClientMetrics, overrides, func(d *Def) value {
		v, _ := parse(d, d.Default)
		return v
	}, nil)
}

func describe(table []Def, own Source, overrides map[string]string, fallback func(*Def) value, synonyms func(string) []Synonym) []Entry {
	entries := make([]Entry, 0, len(table))
	for i := range table {
		d := &table[i]
		text, set := overrides[d.Name]
		if d.Internal && !set {
			continue
		}
		e := Entry{Name: d.Name, Type: d.Type, Source: FromDefault, Doc: d.Doc}
		if v, err := parse(d, text); set && err == nil {
			e.Value = v.text
			e.Synonyms = []Synonym{{Name: d.Name, Value: v.text, Source: own}}
		} else {
			e.Value = fallback(d).text
		}
		switch {
		case synonyms == nil:
		case d.Synonym != "":
			e.Synonyms = append(e.Synonyms, synonyms(d.Synonym)...)
		case own == FromGroup:
			e.Synonyms = append(e.Synonyms, synonyms(d.Name)...)
		}
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		entries = append(entries, e)
	}
	return entries
}

// TopicValue is the value in force of one topic setting, "" for a name that nobody knows.
func (s *BrokerSettings) TopicValue(name string, overrides map[string]string) string {
	d, ok := TopicDef(name)
	if !ok {
		return ""
	}
	if v, err := parse(d, overrides[name]); err == nil && hasKey(overrides, name) {
		return v.text
	}
	if d.Nil {
		return ""
	}
	return s.topicDefault(d).text
}

// BrokerValue is the value in force of one broker setting as text, "" without one.
func (s *BrokerSettings) BrokerValue(name string) string {
	if found, ok := s.settings[name]; ok {
		return found.value.text
	}
	return ""
}

func hasKey(m map[string]string, name string) bool {
	_, ok := m[name]
	return ok
}
