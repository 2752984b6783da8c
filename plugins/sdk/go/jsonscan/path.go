package jsonscan

import (
	"errors"
	"strconv"
	"strings"
)

// Path leads to a value inside a JSON text.
type Path []Step

// Step is one part of a path: a key of an object, and the index of an array if it
// is made of digits.
type Step struct {
	Key   string
	Index int // -1: not an index
}

// ParsePath reads a dotted path, as "customer.addresses.0.city".
func ParsePath(text string) (Path, error) {
	if text == "" {
		return nil, errors.New("an empty path")
	}
	var p Path
	for _, part := range strings.Split(text, ".") {
		if part == "" {
			return nil, errors.New("the path " + strconv.Quote(text) + " has an empty part")
		}
		p = append(p, Step{part, index(part)})
	}
	if len(p) > maxDepth {
		return nil, errors.New("a path of more than " + strconv.Itoa(maxDepth) + " parts")
	}
	return p, nil
}

func index(part string) int {
	n := 0
	for i := range len(part) {
		if !isDigit(part[i]) || n > 1<<24 || i > 0 && n == 0 {
			return -1
		}
		n = n*10 + int(part[i]-'0')
	}
	return n
}

// sameKey compares a key as it stands in the text with a step's.
func sameKey(raw []byte, key string) bool {
	for i := range raw {
		if raw[i] == '\\' {
			return string(Unescape(nil, raw)) == key
		}
	}
	return string(raw) == key
}

// Lookup finds the value at the path, as it stands in the text. It is nil if there
// is none or if the text, anywhere, is no JSON.
func Lookup(text []byte, path Path) []byte {
	at, size, ok := Find(text, path)
	if !ok {
		return nil
	}
	return text[at : at+size : at+size]
}

// Find is Lookup that tells where the value lies.
func Find(text []byte, path Path) (at, size int, ok bool) {
	l := lookup{b: text, path: path, at: -1}
	end := l.value(skipBlank(text, 0), 0)
	if end < 0 || skipBlank(text, end) != len(text) || l.at < 0 {
		return 0, 0, false
	}
	return l.at, l.end - l.at, true
}

type lookup struct {
	b       []byte
	path    Path
	at, end int // of what was found; at is -1 if nothing was
}

// value is where the value at at ends, which lies on the path, depth steps down.
func (l *lookup) value(at, depth int) int {
	if at >= len(l.b) {
		return -1
	}
	if depth == len(l.path) {
		end := skipValue(l.b, at, depth)
		if end >= 0 {
			l.at, l.end = at, end
		}
		return end
	}
	if l.b[at] != '{' && l.b[at] != '[' {
		return skipScalar(l.b, at)
	}
	step, object := &l.path[depth], l.b[at] == '{'
	e := entriesOf(l.b, at)
	for e.entry() {
		if object && sameKey(e.key, step.Key) {
			l.at = -1 // of a key that comes twice the last counts, whatever it holds
			e.at = l.value(e.at, depth+1)
		} else if !object && e.index == step.Index {
			e.at = l.value(e.at, depth+1)
		} else {
			e.at = skipValue(l.b, e.at, depth+1)
		}
	}
	return e.at
}
