package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrInvalid is what every error about a setting wraps.
var ErrInvalid = errors.New("invalid setting")

// ValueError is a value that a setting cannot have. Its text is the one that Kafka answers.
type ValueError struct {
	Name  string
	Value string
	Why   string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", e.Value, e.Name, e.Why)
}

// EmptyItemError is a list with an empty item.
type EmptyItemError struct{ Name string }

func (e *EmptyItemError) Error() string {
	return fmt.Sprintf("Configuration '%s' values must not be empty.", e.Name)
}

// UnknownError is a name that no setting has.
type UnknownError struct {
	Kind string // topic, broker, group
	Name string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("Unknown %s config name: %s", e.Kind, e.Name)
}

// CheckTopic tells whether a topic's setting may have that value: nil, *UnknownError, *ValueError or *EmptyItemError.
func CheckTopic(name, value string) error { return check(Topic, "topic", name, value) }

// CheckBroker tells whether a broker's setting may have that value: nil, *UnknownError, *ValueError or *EmptyItemError.
func CheckBroker(name, value string) error { return check(Broker, "broker", name, value) }

// CheckGroup tells whether a group's setting may have that value by itself; [BrokerSettings.CheckGroup] knows the
// broker's bounds too.
func CheckGroup(name, value string) error { return check(Group, "group", name, value) }

func check(table []Def, kind, name, value string) error {
	d, ok := find(table, name)
	if !ok {
		return &UnknownError{Kind: kind, Name: name}
	}
	_, err := parse(d, value)
	return err
}

func (e *ValueError) Unwrap() error     { return ErrInvalid }
func (e *EmptyItemError) Unwrap() error { return ErrInvalid }
func (e *UnknownError) Unwrap() error   { return ErrInvalid }

// value is a parsed value.
type value struct {
	text string // canonical
	n    int64
	f    float64
	b    bool
	list []string
}

// parse turns text into a value that d may have.
func parse(d *Def, text string) (value, error) {
	text = strings.TrimSpace(text)
	v := value{text: text}
	refuse := func(why string) (value, error) { return value{}, &ValueError{Name: d.Name, Value: v.text, Why: why} }
	switch d.Type {
	case Boolean:
		v.text = strings.ToLower(text)
		if v.b = v.text == "true"; !v.b && v.text != "false" {
			v.text = text
			return refuse("Expected value to be either true or false")
		}
	case Int, Short, Long:
		n, err := strconv.ParseInt(text, 10, bitsOf(d.Type))
		if err != nil {
			return refuse("Not a number of type " + d.Type.String())
		}
		v.n, v.text = n, strconv.FormatInt(n, 10)
	case Double:
		f, err := strconv.ParseFloat(strings.TrimRight(text, "fFdD"), 64)
		if err != nil || math.IsNaN(f) {
			return refuse("Not a number of type DOUBLE")
		}
		v.f, v.text = f, formatDouble(f)
	case List:
		var err error
		if v.list, err = splitList(d.Name, text); err != nil {
			return value{}, err
		}
		v.text = strings.Join(v.list, ",")
	}
	if why, culprit := d.rule.check(d, v); why != "" {
		v.text = culprit
		return refuse(why)
	}
	return v, nil
}

func bitsOf(t Type) int {
	switch t {
	case Short:
		return 16
	case Int:
		return 32
	}
	return 64
}

// formatDouble writes a number as Java does, as far as settings need it.
func formatDouble(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-3 || a >= 1e7) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent)
		return mantissa + "E" + strconv.Itoa(n)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// splitList splits at commas and drops items that came before.
func splitList(name, text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var items []string
	seen := map[string]bool{}
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			return nil, &EmptyItemError{Name: name}
		}
		if !seen[item] {
			seen[item] = true
			items = append(items, item)
		}
	}
	return items, nil
}
