//go:build !windows

package main

import (
	"math"
	"strconv"
	"time"
)

// Numbers for people: three digits say enough. Scripts read -o json.

// scaled writes v with three significant digits and the prefix it needs: 0.52, 7, 1.2k, 340k, 5.1M.
func scaled(v float64, step float64, prefixes []string) (digits, prefix string) {
	n := 0
	for math.Abs(v) >= 999.5 && n < len(prefixes)-1 {
		v, n = v/step, n+1
	}
	switch {
	case math.Abs(v) >= 99.5 || v == math.Trunc(v):
		digits = strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 9.95:
		digits = strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 0.995 || n > 0:
		digits = strconv.FormatFloat(v, 'f', 1, 64)
	default:
		digits = strconv.FormatFloat(v, 'f', 2, 64)
	}
	return digits, prefixes[n]
}

var (
	countPrefixes    = []string{"", "k", "M", "G", "T", "P"}
	bytePrefixes     = []string{"B", "KiB", "MiB", "GiB", "TiB"}
	durationPrefixes = []string{"ns", "us", "ms"}
)

// amount is a number of things, rounded.
func amount(v float64) string {
	digits, prefix := scaled(v, 1000, countPrefixes)
	return digits + prefix
}

func perSecond(v float64) string { return amount(v) + "/s" }

func byteCount(n int64) string {
	digits, prefix := scaled(float64(n), 1024, bytePrefixes)
	return digits + " " + prefix
}

func nanoseconds(ns float64) string {
	if ns >= 999.5e6 {
		return strconv.FormatFloat(ns/1e9, 'f', 1, 64) + " s"
	}
	digits, prefix := scaled(ns, 1000, durationPrefixes)
	return digits + " " + prefix
}

// age is how long ago something was, in its largest unit.
func age(d time.Duration) string {
	unit := func(n time.Duration, name string) string {
		return strconv.FormatInt(int64(d/n), 10) + " " + name + " ago"
	}
	switch {
	case d < time.Second:
		return "just now"
	case d < 2*time.Minute:
		return unit(time.Second, "s")
	case d < 2*time.Hour:
		return unit(time.Minute, "min")
	case d < 48*time.Hour:
		return unit(time.Hour, "h")
	}
	return unit(24*time.Hour, "days")
}
