package main

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// span is a part of a text.
type span struct{ start, end int }

// pattern finds the first span from at on; ok is false if there is none.
type pattern func(text []byte, at int) (s span, ok bool)

func parsePatterns(list string) ([]pattern, error) {
	var out []pattern
	seen := map[string]bool{}
	for _, name := range strings.Split(list, ",") {
		if seen[name] {
			return nil, errors.New("patterns: " + name + " is named twice")
		}
		seen[name] = true
		switch name {
		case "card":
			out = append(out, findCard)
		case "email":
			out = append(out, findEmail)
		default:
			return nil, errors.New("patterns: " + strconv.Quote(name) + " is not known (known: card, email)")
		}
	}
	return out, nil
}

// findAll is every span of every pattern, in order, none overlapping.
func findAll(patterns []pattern, text []byte) []span {
	var spans []span
	for at := 0; ; {
		first, any := span{}, false
		for _, find := range patterns {
			if s, ok := find(text, at); ok && (!any || s.start < first.start) {
				first, any = s, true
			}
		}
		if !any {
			return spans
		}
		spans = append(spans, first)
		at = first.end
	}
}

const (
	cardMin = 13
	cardMax = 19
)

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// findCard finds 13 to 19 digits, with single blanks or hyphens among them, that
// end in the right check digit and are not part of a longer number.
func findCard(text []byte, at int) (span, bool) {
	for at < len(text) {
		if !isDigit(text[at]) {
			at++
			continue
		}
		end, digits := at, [cardMax]byte{}
		n := 0
		for p := at; p < len(text); p++ {
			if c := text[p]; isDigit(c) {
				if n < cardMax {
					digits[n] = c - '0'
				}
				n++
				end = p + 1
			} else if c != ' ' && c != '-' || p != end {
				break
			}
		}
		if n >= cardMin && n <= cardMax && luhn(digits[:n]) {
			return span{at, end}, true
		}
		at = end
	}
	return span{}, false
}

// luhn says whether the last digit is the right check digit for the others.
func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		v := int(d)
		if (len(digits)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// findEmail finds local@domain, where the domain has a dot and ends in letters.
func findEmail(text []byte, at int) (span, bool) {
	for p := at; ; {
		n := bytes.IndexByte(text[p:], '@')
		if n < 0 {
			return span{}, false
		}
		p += n
		start := p
		for start > at && isLocal(text[start-1]) {
			start--
		}
		for start < p && text[start] == '.' {
			start++
		}
		if end := domainEnd(text, p+1); start < p && end > 0 {
			return span{start, end}, true
		}
		p++
	}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }

func isLocal(c byte) bool {
	return isLetter(c) || isDigit(c) || strings.IndexByte(".!#$%&'*+/=?^_`{|}~-", c) >= 0
}

// domainEnd is where the domain that starts at at ends, or 0 if there is none.
func domainEnd(text []byte, at int) int {
	end := at
	for end < len(text) && (isLetter(text[end]) || isDigit(text[end]) || text[end] == '-' || text[end] == '.') {
		end++
	}
	for end > at && (text[end-1] == '.' || text[end-1] == '-') {
		end--
	}
	dot := bytes.LastIndexByte(text[at:end], '.')
	if dot <= 0 || end-at-dot-1 < 2 || bytes.Contains(text[at:end], []byte("..")) {
		return 0
	}
	for _, c := range text[at+dot+1 : end] {
		if !isLetter(c) {
			return 0
		}
	}
	return end
}
