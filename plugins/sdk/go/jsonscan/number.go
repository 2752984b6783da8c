package jsonscan

import (
	"bytes"
	"math"
)

// CompareNumbers compares two JSON numbers exactly, however long they are: -1, 0
// or 1. Both must be numbers (IsNumber).
func CompareNumbers(a, b []byte) int {
	x, y := decimalOf(a), decimalOf(b)
	if x.sign != y.sign {
		if x.sign < y.sign {
			return -1
		}
		return 1
	}
	return x.sign * compareMagnitude(x, y)
}

// decimal is 0.d1d2d3... times ten to the exponent; whole and part hold the digits
// with neither leading nor trailing zeros between them, unless the number is 0.
type decimal struct {
	sign        int
	exponent    int64
	whole, part []byte
}

func decimalOf(b []byte) decimal {
	d := decimal{sign: 1}
	if b[0] == '-' {
		d.sign = -1
		b = b[1:]
	}
	end := digits(b, 0)
	d.whole, b = b[:end], b[end:]
	if len(b) > 0 && b[0] == '.' {
		end = digits(b, 1)
		d.part, b = b[1:end], b[end:]
	}
	if len(b) > 0 {
		d.exponent = exponentOf(b[1:])
	}
	d.exponent += int64(len(d.whole))
	if d.part = bytes.TrimRight(d.part, "0"); len(d.part) == 0 {
		d.whole = bytes.TrimRight(d.whole, "0")
	}
	for len(d.whole) > 0 && d.whole[0] == '0' {
		d.whole = d.whole[1:]
		d.exponent--
	}
	if len(d.whole) == 0 {
		for len(d.part) > 0 && d.part[0] == '0' {
			d.part = d.part[1:]
			d.exponent--
		}
		if len(d.part) == 0 {
			return decimal{}
		}
	}
	return d
}

// exponentOf is the number after e, held far inside of what an int64 can take.
func exponentOf(b []byte) int64 {
	negative := b[0] == '-'
	if b[0] == '-' || b[0] == '+' {
		b = b[1:]
	}
	var n int64
	for _, c := range b {
		n = min(n*10+int64(c-'0'), math.MaxInt64/100)
	}
	if negative {
		return -n
	}
	return n
}

func compareMagnitude(x, y decimal) int {
	switch {
	case x.exponent < y.exponent:
		return -1
	case x.exponent > y.exponent:
		return 1
	}
	n := max(len(x.whole)+len(x.part), len(y.whole)+len(y.part))
	for i := range n {
		if a, b := x.digit(i), y.digit(i); a != b {
			if a < b {
				return -1
			}
			return 1
		}
	}
	return 0
}

func (d *decimal) digit(i int) byte {
	if i < len(d.whole) {
		return d.whole[i]
	}
	if i -= len(d.whole); i < len(d.part) {
		return d.part[i]
	}
	return '0'
}
