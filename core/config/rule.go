package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ruleKind names what a rule asks of a value, beyond its type.
type ruleKind int8

const (
	anything    ruleKind = iota
	atLeast              // min <= value
	between              // min <= value <= max
	oneOf                // one of a set; of a list: every item
	oneOfFold            // one of a set, in any case
	nonEmpty             // not ""
	gzipLevel            // 1 to 9, or -1
	throttled            // * or a list of partition:broker
	offsetReset          // latest, earliest or by_duration:ISO-8601
)

type rule struct {
	kind     ruleKind
	min, max int64
	of       []string
}

// check returns "" or why v is refused, and the part of v that is to blame. The reasons are Kafka's.
func (r rule) check(d *Def, v value) (why, culprit string) {
	switch r.kind {
	case atLeast, between:
		return r.checkRange(d, v), v.text
	case gzipLevel:
		if v.n != -1 && (v.n < 1 || v.n > 9) {
			return "Value must be between 1 and 9 or equal to -1", v.text
		}
	case oneOf, oneOfFold:
		return r.checkSet(d, v)
	case nonEmpty:
		if v.text == "" {
			return "String must be non-empty", v.text
		}
	case throttled:
		if !isThrottledList(v.list) {
			return d.Name + " must be the literal '*' or a list of replicas in the following format: " +
				"[partitionId]:[brokerId],[partitionId]:[brokerId],...", fmt.Sprintf("[%s]", strings.Join(v.list, ", "))
		}
	case offsetReset:
		if !isOffsetReset(v.text) {
			return fmt.Sprintf("Invalid value `%s` for configuration %s. The value must be either 'earliest', 'latest' or of the format "+
				"'by_duration:<PnDTnHnMn.nS>'.", v.text, d.Name), v.text
		}
	}
	return "", ""
}

func (r rule) checkRange(d *Def, v value) string {
	below, above := v.n < r.min, v.n > r.max
	if d.Type == Double {
		below, above = v.f < float64(r.min), v.f > float64(r.max)
	}
	switch {
	case below:
		return "Value must be at least " + strconv.FormatInt(r.min, 10)
	case above && r.kind == between:
		return "Value must be no more than " + strconv.FormatInt(r.max, 10)
	}
	return ""
}

func (r rule) checkSet(d *Def, v value) (why, culprit string) {
	items := []string{v.text}
	if d.Type == List {
		items = v.list
	}
	for _, item := range items {
		in := slices.Contains(r.of, item)
		if r.kind == oneOfFold {
			in = slices.ContainsFunc(r.of, func(s string) bool { return strings.EqualFold(s, item) })
		}
		switch {
		case in:
		case r.kind == oneOfFold:
			return "String must be one of (case insensitive): " + strings.Join(r.of, ", "), item
		default:
			return "String must be one of: " + strings.Join(r.of, ", "), item
		}
	}
	return "", ""
}

func isThrottledList(items []string) bool {
	if len(items) == 1 && items[0] == "*" {
		return true
	}
	for _, item := range items {
		partition, broker, ok := strings.Cut(item, ":")
		if !ok || !isDigits(partition) || !isDigits(broker) {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isOffsetReset(s string) bool {
	duration, ok := strings.CutPrefix(s, "by_duration:")
	if !ok {
		return s == "earliest" || s == "latest"
	}
	return isDuration(duration)
}

// isDuration tells whether s is a duration like P2DT3H4M5.6S, not negative.
func isDuration(s string) bool {
	s = strings.ToUpper(s)
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return false
	}
	days, time, timed := strings.Cut(rest, "T")
	if timed && time == "" || !areUnits(days, "D") {
		return false
	}
	return areUnits(time, "HMS")
}

// areUnits tells whether s is a run of numbers, each followed by a unit, the units in order. Only S takes a fraction.
func areUnits(s, units string) bool {
	for s != "" {
		end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if end <= 0 {
			return false
		}
		at := strings.IndexByte(units, s[end])
		whole, fraction, fractional := strings.Cut(s[:end], ".")
		if at < 0 || !isDigits(whole) || fractional && (s[end] != 'S' || !isDigits(fraction)) {
			return false
		}
		units, s = units[at+1:], s[end+1:]
	}
	return true
}
