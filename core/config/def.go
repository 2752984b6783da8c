package config

import (
	"sort"
	"strings"
)

// Type is the type of a setting's value, numbered as in DescribeConfigs.
type Type int8

// The types of settings.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

// String is the name that Kafka's error messages use.
func (t Type) String() string {
	switch t {
	case Boolean:
		return "BOOLEAN"
	case String:
		return "STRING"
	case Int:
		return "INT"
	case Short:
		return "SHORT"
	case Long:
		return "LONG"
	case Double:
		return "DOUBLE"
	case List:
		return "LIST"
	case Class:
		return "CLASS"
	case Password:
		return "PASSWORD"
	}
	return "UNKNOWN"
}

// Update says how a setting can change while a broker runs.
type Update int8

// The ways of change.
const (
	ReadOnly    Update = iota // only by a restart
	PerBroker                 // for one broker
	ClusterWide               // for one broker, or for all of them
)

// Def describes one setting.
type Def struct {
	Name     string
	Type     Type
	Default  string // in the canonical form; "" with Nil
	Nil      bool   // there is no default
	Doc      string // one line
	Update   Update
	Synonym  string // the broker's setting that stands in where a topic or group has no value of its own
	Acted    bool   // we act on it; other settings are only stored and shown
	Own      bool   // ours, not Kafka's
	Internal bool   // shown only where it is set
	rule     rule
}

// ReadOnly tells whether the setting cannot change while a broker runs.
func (d *Def) ReadOnly() bool { return d.Update == ReadOnly }

// Dynamic tells whether the setting can change while a broker runs.
func (d *Def) Dynamic() bool { return d.Update != ReadOnly }

// Sensitive tells whether the value is a secret, which no answer may show.
func (d *Def) Sensitive() bool { return d.Type == Password }

// TopicDef returns the topic setting of that name.
func TopicDef(name string) (*Def, bool) { return find(Topic, name) }

// BrokerDef returns the broker setting of that name.
func BrokerDef(name string) (*Def, bool) { return find(Broker, name) }

// GroupDef returns the group setting of that name.
func GroupDef(name string) (*Def, bool) { return find(Group, name) }

// ClientMetricsDef returns the setting of a client metrics subscription of that name.
func ClientMetricsDef(name string) (*Def, bool) { return find(ClientMetrics, name) }

func find(table []Def, name string) (*Def, bool) {
	i := sort.Search(len(table), func(i int) bool { return table[i].Name >= name })
	if i < len(table) && table[i].Name == name {
		return &table[i], true
	}
	return nil, false
}

// Nearest returns the known name of a topic's or broker's setting that is most like name.
func Nearest(name string) string {
	best, least := "", -1
	for _, table := range [][]Def{Broker, Topic} {
		for i := range table {
			if d := distance(strings.ToLower(name), table[i].Name); least < 0 || d < least {
				best, least = table[i].Name, d
			}
		}
	}
	return best
}

// maxNameCompared bounds the work of one comparison of names.
const maxNameCompared = 256

// distance is the number of characters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	if len(a) > maxNameCompared {
		a = a[:maxNameCompared]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
