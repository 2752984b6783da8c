package config

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTablesAreSortedAndSound(t *testing.T) {
	for name, table := range map[string][]Def{"broker": Broker, "topic": Topic, "group": Group, "client metrics": ClientMetrics} {
		if !slices.IsSortedFunc(table, func(a, b Def) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("the table of %s settings is not sorted", name)
		}
		for i := range table {
			d := &table[i]
			if d.Nil != (d.Default == "") && d.Type != List && d.Type != String {
				t.Errorf("%s: nil %v with default %q", d.Name, d.Nil, d.Default)
			}
			if v, err := parse(d, d.Default); !d.Nil && (err != nil || v.text != d.Default) {
				t.Errorf("%s: default %q parses to %q, %v", d.Name, d.Default, v.text, err)
			}
			if d.Doc == "" || !strings.HasSuffix(d.Doc, ".") {
				t.Errorf("%s: doc line %q", d.Name, d.Doc)
			}
			if d.Synonym != "" {
				if _, ok := BrokerDef(d.Synonym); !ok {
					t.Errorf("%s: no broker setting %s", d.Name, d.Synonym)
				}
			}
		}
	}
}

// The messages are those that Apache Kafka 4.3.1 answered.
func TestValuesAreRefusedInKafkasWords(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"retention.ms", "-5", "Invalid value -5 for configuration retention.ms: Value must be at least -1"},
		{"retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"},
		{"retention.ms", "", "Invalid value  for configuration retention.ms: Not a number of type LONG"},
		{"retention.ms", " 7 ", ""},
		{"retention.bytes", "-7", ""},
		{"max.message.bytes", "99999999999", "Invalid value 99999999999 for configuration max.message.bytes: Not a number of type INT"},
		{"foo.bar", "1", "Unknown topic config name: foo.bar"},
		{"cleanup.policy", "foo", "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{"cleanup.policy", "compact, foo", "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{"cleanup.policy", "delete,", "Configuration 'cleanup.policy' values must not be empty."},
		{"cleanup.policy", "", ""},
		{"cleanup.policy", "compact,delete", ""},
		{"compression.type", "", "Invalid value  for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{"compression.lz4.level", "18", "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17"},
		{"compression.zstd.level", "-7", ""},
		{"preallocate", "maybe", "Invalid value maybe for configuration preallocate: Expected value to be either true or false"},
		{"preallocate", "TRUE", ""},
		{"min.cleanable.dirty.ratio", "2", "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"min.cleanable.dirty.ratio", "x", "Invalid value x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"},
		{"min.cleanable.dirty.ratio", "0.7f", ""},
		{"segment.bytes", "1024", "Invalid value 1024 for configuration segment.bytes: Value must be at least 1048576"},
		{"internal.segment.bytes", "1024", ""},
		{"leader.replication.throttled.replicas", "x", "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{"leader.replication.throttled.replicas", "*", ""},
		{"leader.replication.throttled.replicas", "1:1,2:2", ""},
	} {
		if got := text(CheckTopic(c.name, c.value)); got != c.want {
			t.Errorf("%s=%q: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestOffsetResetTakesDurations(t *testing.T) {
	for value, ok := range map[string]bool{
		"earliest": true, "latest": true, "by_duration:P1D": true, "by_duration:PT1H30M": true, "by_duration:P2DT3H4M5.25S": true,
		"none": false, "by_duration:": false, "by_duration:P": false, "by_duration:PT": false, "by_duration:PT-1H": false,
		"by_duration:PT1M1H": false, "by_duration:PT1.5H": false, "by_duration:1D": false, "by_duration:PTS": false,
	} {
		if err := CheckGroup("share.auto.offset.reset", value); (err == nil) != ok {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestUnknownNamesAreAnsweredWithTheNearest(t *testing.T) {
	for given, want := range map[string]string{
		"num.partition": "num.partitions", "log.retension.ms": "log.retention.ms", "auto.create.topic.enable": "auto.create.topics.enable",
		"file.delete.delay.ms": "log.segment.delete.delay.ms",
	} {
		_, _, err := ParseBroker(map[string]string{given: "1"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want the nearest to be %s", given, err, want)
		}
	}
	if Nearest(strings.Repeat("x", 1<<20)) == "" {
		t.Error("a long name has no nearest")
	}
}

func TestSettingsWithoutEffectAreWarnedOf(t *testing.T) {
	s, warnings, err := ParseBroker(map[string]string{"num.io.threads": "4", "num.partitions": "3", "listener.name.x.max.connections": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], "listener.name.x") || !strings.Contains(warnings[1], "num.io.threads") {
		t.Errorf("warnings %q", warnings)
	}
	if s.Int("num.partitions") != 3 || s.Int("num.io.threads") != 4 || !s.IsSet("num.partitions") || s.IsSet("log.dirs") {
		t.Error("the values given are not those in force")
	}
}

func TestBrokersAreRefusedSettingsThatDisagree(t *testing.T) {
	for _, given := range []map[string]string{
		{"node.id": "1", "broker.id": "2"},
		{"broker.id": "-2"},
		{"log.retention.ms": "0"},
		{"log.roll.ms": "0"},
		{"log.roll.jitter.ms": "-1"},
		{"group.min.session.timeout.ms": "5000", "group.max.session.timeout.ms": "4000"},
		{"max.connections.per.ip.overrides": "127.0.0.1"},
		{"num.partitions": "0"},
	} {
		if _, _, err := ParseBroker(given); err == nil {
			t.Errorf("%v is accepted", given)
		}
	}
}

func TestNodeIDAndBrokerIDAreOne(t *testing.T) {
	for _, c := range []struct {
		given map[string]string
		want  int32
	}{{nil, 1}, {map[string]string{"node.id": "7"}, 7}, {map[string]string{"broker.id": "8"}, 8}} {
		s, _, err := ParseBroker(c.given)
		if err != nil || s.NodeID() != c.want {
			t.Errorf("%v: node %d, %v; want %d", c.given, s.NodeID(), err, c.want)
		}
	}
}

func TestTopicSettingsFallBackToTheBrokers(t *testing.T) {
	s, _, err := ParseBroker(map[string]string{"log.retention.hours": "2", "log.roll.hours": "3", "log.cleanup.policy": "compact", "message.max.bytes": "77"})
	if err != nil {
		t.Fatal(err)
	}
	c := TopicSettings(s, map[string]string{"segment.ms": "5", "message.timestamp.type": "LogAppendTime", "nonsense": "1", "retention.bytes": "x"})
	if c.RetentionMs != 2*hourMs || c.SegmentMs != 5 || !c.Compact || c.Delete || c.MaxMessageBytes != 77 || !c.LogAppendTime {
		t.Errorf("%+v", c)
	}
	if c.RetentionBytes != -1 || c.FlushMs != math.MaxInt64 || c.SegmentBytes != 1<<30 || c.MinInsyncReplicas != 1 || c.CompressionType != "producer" {
		t.Errorf("%+v", c)
	}
	c = TopicSettings(s, map[string]string{"segment.bytes": "2000000", "internal.segment.bytes": "1000"})
	if c.SegmentBytes != 1000 {
		t.Errorf("segments of %d bytes, want what internal.segment.bytes says", c.SegmentBytes)
	}
}

func TestTopicSetsThatContradictThemselvesAreRefused(t *testing.T) {
	s, _, _ := ParseBroker(nil)
	for _, set := range []map[string]string{
		{"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"},
		{"remote.storage.enable": "true"},
		{"foo": "1"},
	} {
		if err := CheckTopicSet(s, set); err == nil {
			t.Errorf("%v is accepted", set)
		}
	}
	if err := CheckTopicSet(s, map[string]string{"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "5"}); err != nil {
		t.Error(err)
	}
}

func TestDynamicSettingsWinInKafkasOrder(t *testing.T) {
	s, _, err := ParseBroker(map[string]string{"message.max.bytes": "1"})
	if err != nil {
		t.Fatal(err)
	}
	live := s.WithDynamic(map[string]string{"message.max.bytes": "2", "num.partitions": "9"}, map[string]string{"message.max.bytes": "3"})
	if live.Int("message.max.bytes") != 3 || live.Int("num.partitions") != 1 || s.Int("message.max.bytes") != 1 {
		t.Errorf("%d and %d in force", live.Int("message.max.bytes"), live.Int("num.partitions"))
	}
	i := slices.IndexFunc(live.DescribeTopic(nil), func(e Entry) bool { return e.Name == "max.message.bytes" })
	e := live.DescribeTopic(map[string]string{"max.message.bytes": "4"})[i]
	want := []Synonym{{"max.message.bytes", "4", false, FromTopic}, {"message.max.bytes", "3", false, FromDynamicBroker},
		{"message.max.bytes", "2", false, FromDynamicDefault}, {"message.max.bytes", "1", false, FromStatic}, {"message.max.bytes", "1048588", false, FromDefault}}
	if e.Source != FromTopic || !slices.Equal(e.Synonyms, want) {
		t.Errorf("%+v", e)
	}
	if c := live.DescribeClusterDefault(); len(c) != 2 || c[0].Name != "message.max.bytes" || c[0].Value != "2" || len(c[0].Synonyms) != 1 {
		t.Errorf("cluster default %+v", c)
	}
}

// The messages are those that Apache Kafka 4.3.1 answered.
func TestDynamicChangesAreRefusedInKafkasWords(t *testing.T) {
	s, _, _ := ParseBroker(nil)
	for _, c := range []struct {
		name, value string
		oneBroker   bool
		want        string
	}{
		{"num.io.threads", "4", true, ""},
		{"num.io.threads", "0", true, "Invalid value 0 for configuration num.io.threads: Value must be at least 1"},
		{"num.partitions", "5", true, "Cannot update these configs dynamically: [num.partitions]"},
		{"foo", "1", true, ""},
		{"log.roll.ms", "0", true, "requirement failed: log.roll.ms must be greater than or equal to 1"},
		{"log.retention.ms", "abc", false, "Invalid value abc for configuration log.retention.ms: Not a number of type LONG"},
		{"listeners", "PLAINTEXT://:1", true, "Cannot update these configs dynamically: [listeners]"},
		{"sasl.enabled.mechanisms", "PLAIN", false, "Cannot update these configs at default cluster level, broker id must be specified: [sasl.enabled.mechanisms]"},
		{"ssl.keystore.password", "x", true, "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.password]"},
		{"listener.name.plaintext.max.connections", "3", true, ""},
	} {
		if got := text(CheckDynamic(s, map[string]string{c.name: c.value}, c.oneBroker)); got != c.want {
			t.Errorf("%s=%s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func TestGroupSettingsKeepWithinTheBrokersBounds(t *testing.T) {
	s, _, _ := ParseBroker(nil)
	for value, want := range map[string]string{
		"1":      "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
		"100000": "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms",
		"50000":  "",
	} {
		if got := text(CheckGroupSet(s, map[string]string{"consumer.session.timeout.ms": value})); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	var unknown *UnknownError
	if err := CheckGroupSet(s, map[string]string{"foo": "1"}); !errors.As(err, &unknown) {
		t.Errorf("foo: %v", err)
	}
}

func TestSecretsAreNeverDescribed(t *testing.T) {
	s, _, err := ParseBroker(map[string]string{"ssl.key.password": "hunter2", "listener.name.x.ssl.key.password": "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.WithDynamic(nil, map[string]string{"plugin.token": "hunter2"}).DescribeBroker() {
		leaks := e.Value == "hunter2" || slices.ContainsFunc(e.Synonyms, func(y Synonym) bool { return y.Value == "hunter2" })
		if leaks {
			t.Errorf("%s shows the secret", e.Name)
		}
	}
}

func TestConnectionsPerIPHasExceptions(t *testing.T) {
	s, _, err := ParseBroker(map[string]string{"max.connections.per.ip": "5", "max.connections.per.ip.overrides": "127.0.0.1:7, [::1]:8"})
	if err != nil {
		t.Fatal(err)
	}
	limit, overrides := s.ConnectionsPerIP()
	if limit != 5 || overrides["127.0.0.1"] != 7 || overrides["::1"] != 8 {
		t.Errorf("%d, %v", limit, overrides)
	}
}

func FuzzNoValuePanics(f *testing.F) {
	f.Add("retention.ms", "7")
	f.Add("cleanup.policy", "compact,,delete")
	f.Add("share.auto.offset.reset", "by_duration:P1DT1.5S")
	f.Add("min.cleanable.dirty.ratio", "NaNf")
	f.Fuzz(func(t *testing.T, name, value string) {
		s, _, _ := ParseBroker(nil)
		for _, check := range []func(string, string) error{CheckTopic, CheckBroker, CheckGroup} {
			_ = check(name, value)
		}
		if err := CheckTopicSet(s, map[string]string{name: value}); err == nil {
			again := s.DescribeTopic(map[string]string{name: value})
			i := slices.IndexFunc(again, func(e Entry) bool { return e.Name == name })
			if CheckTopic(name, again[i].Value) != nil {
				t.Errorf("%s=%q is shown as %q, which is refused", name, value, again[i].Value)
			}
		}
		_, _, _ = ParseBroker(map[string]string{name: value})
	})
}
