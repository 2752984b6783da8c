package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Source says where a value came from, numbered as in DescribeConfigs.
type Source int8

// The sources.
const (
	FromTopic          Source = 1 // the topic's own
	FromDynamicBroker  Source = 2 // changed at run time for this broker
	FromDynamicDefault Source = 3 // changed at run time for all brokers
	FromStatic         Source = 4 // given when the broker was started
	FromDefault        Source = 5
	FromClientMetrics  Source = 7
	FromGroup          Source = 8
)

// setting is the value in force of one broker setting.
type setting struct {
	def    *Def
	value  value
	isNil  bool
	source Source
}

// BrokerSettings is what is set on one broker. It is immutable and safe for use by many goroutines.
//
// A method that is asked for a name that is not in [Broker], or for another type than the setting's, panics: names are
// written in code, not read from outside.
type BrokerSettings struct {
	static, cluster, own map[string]string // as given, by name
	settings             map[string]*setting
	topics               TopicConfig // of a topic without settings of its own
}

// prefixes of settings that are passed on to plugins or that concern one listener. We act on none.
var prefixes = []string{"listener.name.", "rsm.config.", "rlmm.config."}

// ParseBroker checks the settings that a broker was given. The warnings name what is known but not acted on.
func ParseBroker(given map[string]string) (*BrokerSettings, []string, error) {
	static := maps.Clone(given)
	if static == nil {
		static = map[string]string{}
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(static)) {
		def, known := BrokerDef(name)
		switch {
		case !known && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }):
			return nil, nil, unknownBroker(name)
		case !known || !def.Acted:
			warnings = append(warnings, fmt.Sprintf("%s is known but has no effect here", name))
		}
		if known {
			if _, err := parse(def, static[name]); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := sameNode(static); err != nil {
		return nil, nil, err
	}
	s := newBrokerSettings(static, nil, nil)
	if err := s.checkTogether(); err != nil {
		return nil, nil, err
	}
	return s, warnings, nil
}

// sameNode makes node.id and broker.id, which are two names of one thing, agree.
func sameNode(static map[string]string) error {
	node, hasNode := static["node.id"]
	broker, hasBroker := static["broker.id"]
	switch {
	case hasNode && hasBroker && strings.TrimSpace(node) != strings.TrimSpace(broker):
		return fmt.Errorf("node.id is %s but broker.id is %s: give one of them", node, broker)
	case hasBroker:
		if n, err := strconv.Atoi(strings.TrimSpace(broker)); err != nil || n < 0 {
			return &ValueError{Name: "broker.id", Value: broker, Why: "Value must be at least 0"}
		}
		static["node.id"] = broker
	case hasNode:
		static["broker.id"] = node
	}
	return nil
}

// WithDynamic returns the settings after the changes made at run time, for all brokers and for this one. They must
// have been checked by [CheckDynamic]; a value that does not parse is passed over, as if it were not there.
func (s *BrokerSettings) WithDynamic(cluster, own map[string]string) *BrokerSettings {
	if len(cluster) == 0 && len(own) == 0 && len(s.cluster) == 0 && len(s.own) == 0 {
		return s
	}
	return newBrokerSettings(s.static, maps.Clone(cluster), maps.Clone(own))
}

func newBrokerSettings(static, cluster, own map[string]string) *BrokerSettings {
	s := &BrokerSettings{static: static, cluster: cluster, own: own, settings: make(map[string]*setting, len(Broker))}
	for i := range Broker {
		s.settings[Broker[i].Name] = s.resolve(&Broker[i])
	}
	s.topics = s.topicDefaults()
	return s
}

// layers are the given values, the ones that win first.
func (s *BrokerSettings) layers() []layer {
	return []layer{{FromDynamicBroker, s.own}, {FromDynamicDefault, s.cluster}, {FromStatic, s.static}}
}

type layer struct {
	source Source
	values map[string]string
}

func (s *BrokerSettings) resolve(d *Def) *setting {
	for _, l := range s.layers() {
		if l.source != FromStatic && d.ReadOnly() {
			continue
		}
		if text, ok := l.values[d.Name]; ok {
			if v, err := parse(d, text); err == nil {
				return &setting{def: d, value: v, source: l.source}
			}
		}
	}
	if d.Nil {
		return &setting{def: d, isNil: true, source: FromDefault}
	}
	v, err := parse(d, d.Default)
	if err != nil {
		panic("config: the default of " + d.Name + ": " + err.Error())
	}
	return &setting{def: d, value: v, source: FromDefault}
}

func (s *BrokerSettings) get(name string, types ...Type) *setting {
	found, ok := s.settings[name]
	if !ok || !slices.Contains(types, found.def.Type) {
		panic("config: no broker setting of such a type is named " + name)
	}
	return found
}

// Int is the value of a whole number; 0 without a value.
func (s *BrokerSettings) Int(name string) int64 { return s.get(name, Int, Short, Long).value.n }

// Bool is the value of a boolean.
func (s *BrokerSettings) Bool(name string) bool { return s.get(name, Boolean).value.b }

// Float is the value of a fraction.
func (s *BrokerSettings) Float(name string) float64 { return s.get(name, Double).value.f }

// String is the value of a text; "" without a value.
func (s *BrokerSettings) String(name string) string {
	return s.get(name, String, Class, Password).value.text
}

// List is the value of a list; it must not be changed.
func (s *BrokerSettings) List(name string) []string { return s.get(name, List).value.list }

// IsSet tells whether the setting has a value that is not its default.
func (s *BrokerSettings) IsSet(name string) bool {
	found, ok := s.settings[name]
	return ok && found.source != FromDefault
}

// firstSet is the first of the whole numbers that has a value, in its own unit.
func (s *BrokerSettings) firstSet(names ...unit) int64 {
	for _, u := range names {
		if found := s.get(u.name, Int, Long); !found.isNil {
			return u.toMs(found.value.n)
		}
	}
	return 0
}

// unit is a setting that counts so many milliseconds.
type unit struct {
	name string
	ms   int64
}

func (u unit) toMs(n int64) int64 {
	if n < 0 {
		return -1
	}
	return n * u.ms // hours and minutes are of 32 bits: no overflow
}

const (
	minuteMs = 60_000
	hourMs   = 60 * minuteMs
)

func (s *BrokerSettings) retentionMs() int64 {
	return s.firstSet(unit{"log.retention.ms", 1}, unit{"log.retention.minutes", minuteMs}, unit{"log.retention.hours", hourMs})
}

func (s *BrokerSettings) rollMs() int64 {
	return s.firstSet(unit{"log.roll.ms", 1}, unit{"log.roll.hours", hourMs})
}

func (s *BrokerSettings) rollJitterMs() int64 {
	return s.firstSet(unit{"log.roll.jitter.ms", 1}, unit{"log.roll.jitter.hours", hourMs})
}

func (s *BrokerSettings) flushMs() int64 {
	return s.firstSet(unit{"log.flush.interval.ms", 1}, unit{"log.flush.scheduler.interval.ms", 1})
}

// NodeID is this broker's id.
func (s *BrokerSettings) NodeID() int32 { return int32(s.Int("node.id")) }

// ConnectionsPerIP is the limit of connections from one address, with the exceptions by address.
func (s *BrokerSettings) ConnectionsPerIP() (limit int64, overrides map[string]int64) {
	overrides, _ = parseOverrides(s.String("max.connections.per.ip.overrides"))
	return s.Int("max.connections.per.ip"), overrides
}

func parseOverrides(text string) (map[string]int64, error) {
	overrides := map[string]int64{}
	items, err := splitList("max.connections.per.ip.overrides", text)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		at := strings.LastIndexByte(item, ':')
		if at < 0 {
			return nil, &ValueError{Name: "max.connections.per.ip.overrides", Value: text, Why: item + " is not address:count"}
		}
		n, err := strconv.ParseInt(item[at+1:], 10, 32)
		if err != nil || n < 0 {
			return nil, &ValueError{Name: "max.connections.per.ip.overrides", Value: text, Why: item + " is not address:count"}
		}
		overrides[strings.Trim(item[:at], "[] ")] = n
	}
	return overrides, nil
}

// checkTogether tells whether the settings agree with each other.
func (s *BrokerSettings) checkTogether() error {
	for _, name := range []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"} {
		if found := s.settings[name]; !found.isNil && found.value.n == 0 {
			return fmt.Errorf("requirement failed: %s must be unlimited (-1) or, equal or greater than 1", name)
		}
	}
	if found := s.settings["log.roll.ms"]; !found.isNil && found.value.n < 1 {
		return fmt.Errorf("requirement failed: log.roll.ms must be greater than or equal to 1")
	}
	if found := s.settings["log.roll.jitter.ms"]; !found.isNil && found.value.n < 0 {
		return fmt.Errorf("requirement failed: log.roll.jitter.ms must be greater than or equal to 0")
	}
	least, most := s.Int("group.min.session.timeout.ms"), s.Int("group.max.session.timeout.ms")
	if least > most {
		return fmt.Errorf("group.min.session.timeout.ms is %d, above group.max.session.timeout.ms of %d", least, most)
	}
	_, err := parseOverrides(s.String("max.connections.per.ip.overrides"))
	return err
}

// unknownBroker refuses a name that is no broker's setting. One that a topic has is likely to be meant for all topics.
func unknownBroker(name string) error {
	if t, ok := TopicDef(name); ok && t.Synonym != "" {
		return fmt.Errorf("%q is a setting of topics; what the broker gives to topics without it is %q", name, t.Synonym)
	}
	return fmt.Errorf("no setting is named %q (the nearest is %q)", name, Nearest(name))
}
