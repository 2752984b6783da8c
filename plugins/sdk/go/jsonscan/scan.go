package jsonscan

import "math/bits"

// maxDepth bounds how deep arrays and objects may lie in each other: deeper text
// is taken for no JSON, so that a record cannot use up the guest's stack.
const maxDepth = 1_000

// skipBlank is where the next token starts.
func skipBlank(b []byte, at int) int {
	if at < len(b) && b[at] > ' ' {
		return at
	}
	return skipBlanks(b, at)
}

func skipBlanks(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\r' || b[at] == '\t') {
		at++
	}
	return at
}

// skipString is where the string that starts at at ends, or -1. It looks at eight
// bytes at once: in WebAssembly each turn of a Go loop is dear.
func skipString(b []byte, at int) int {
	at++
	for {
		for at+8 <= len(b) {
			if hit := special(b[at : at+8 : at+8]); hit != 0 {
				at += bits.TrailingZeros64(hit) >> 3
				break
			}
			at += 8
		}
		if at >= len(b) {
			return -1
		}
		switch c := b[at]; {
		case c == '"':
			return at + 1
		case c < ' ':
			return -1
		case c == '\\':
			if at = skipEscape(b, at); at < 0 {
				return -1
			}
		default: // in the last bytes of the text
			at++
		}
	}
}

// special has the high bit set of each of eight bytes that ends a run of plain
// characters: a quote, a backslash or a control character. The lowest bit set is
// exact; those above it may be there by borrowing.
func special(p []byte) uint64 {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	_ = p[7]
	x := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
		uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
	quote, backslash := x^ones*'"', x^ones*'\\'
	return ((x-ones*' ')&^x | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs
}

// skipEscape steps over an escape, or gives -1.
func skipEscape(b []byte, at int) int {
	at++
	if at >= len(b) {
		return -1
	}
	switch b[at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 1
	case 'u':
		if at+4 >= len(b) || !isHex(b[at+1]) || !isHex(b[at+2]) || !isHex(b[at+3]) || !isHex(b[at+4]) {
			return -1
		}
		return at + 5
	default:
		return -1
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func digits(b []byte, at int) int {
	for at < len(b) && isDigit(b[at]) {
		at++
	}
	return at
}

// skipNumber is where the number that starts at at ends, or -1.
func skipNumber(b []byte, at int) int {
	if at < len(b) && b[at] == '-' {
		at++
	}
	switch {
	case at < len(b) && b[at] == '0':
		at++
	case at < len(b) && isDigit(b[at]):
		at = digits(b, at)
	default:
		return -1
	}
	if at < len(b) && b[at] == '.' {
		end := digits(b, at+1)
		if end == at+1 {
			return -1
		}
		at = end
	}
	if at < len(b) && (b[at] == 'e' || b[at] == 'E') {
		at++
		if at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		end := digits(b, at)
		if end == at {
			return -1
		}
		at = end
	}
	return at
}

// skipWord is where the literal that starts at at ends, or -1.
func skipWord(b []byte, at int) int {
	word := ""
	switch b[at] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	default:
		return -1
	}
	if len(b)-at < len(word) || string(b[at:at+len(word)]) != word {
		return -1
	}
	return at + len(word)
}

// skipScalar is where the string, number or literal that starts at at ends, or -1.
func skipScalar(b []byte, at int) int {
	switch c := b[at]; {
	case c == '"':
		return skipString(b, at)
	case c == '-' || isDigit(c):
		return skipNumber(b, at)
	default:
		return skipWord(b, at)
	}
}

// skipValue is where the value that starts at at ends, or -1. depth is how many
// arrays and objects it lies in.
func skipValue(b []byte, at, depth int) int {
	if at >= len(b) {
		return -1
	}
	if b[at] == '{' || b[at] == '[' {
		return skipContainer(b, at, depth)
	}
	return skipScalar(b, at)
}

// skipContainer is skipValue for an object or an array. It keeps a bit for each
// that is open instead of calling itself: guests have little stack.
func skipContainer(b []byte, at, depth int) int {
	var objects [maxDepth/64 + 1]uint64
	open := 0
	for {
		if at >= len(b) {
			return -1
		}
		switch c := b[at]; c {
		case '{', '[':
			if open++; depth+open > maxDepth {
				return -1
			}
			bit := uint64(1) << (open & 63)
			objects[open>>6] &^= bit
			at = skipBlank(b, at+1)
			if c == '{' {
				objects[open>>6] |= bit
				if at < len(b) && b[at] == '}' {
					break
				}
				if at = skipKey(b, at); at < 0 {
					return -1
				}
				continue
			}
			if at < len(b) && b[at] == ']' {
				break
			}
			continue
		default:
			if at = skipScalar(b, at); at < 0 {
				return -1
			}
		}
		for more := false; !more; {
			closing := byte(']')
			if objects[open>>6]>>(open&63)&1 != 0 {
				closing = '}'
			}
			if at, more = next(b, at, closing); at < 0 {
				return -1
			}
			if more && closing == '}' {
				if at = skipKey(b, at); at < 0 {
					return -1
				}
			}
			if !more {
				if open--; open == 0 {
					return at
				}
			}
		}
	}
}

// skipKey steps over a key and its colon to where the value starts, or gives -1.
func skipKey(b []byte, at int) int {
	if at >= len(b) || b[at] != '"' {
		return -1
	}
	if at = skipString(b, at); at < 0 {
		return -1
	}
	return skipColon(b, at)
}

// skipColon steps over the colon after a key to where the value starts, or gives -1.
func skipColon(b []byte, at int) int {
	at = skipBlank(b, at)
	if at >= len(b) || b[at] != ':' {
		return -1
	}
	return skipBlank(b, at+1)
}

// entries walks over an object or an array, one entry at a time: entry finds the
// next one, whose value starts at at, and the caller moves at to where that ends.
// After the last, at is where the whole ends; -1 is broken text.
type entries struct {
	b       []byte
	at      int
	closing byte
	index   int
	key     []byte // between its quotes, as it stands
}

func entriesOf(b []byte, at int) entries {
	return entries{b: b, at: at, closing: b[at] + 2, index: -1} // [ and { come two before ] and }
}

func (e *entries) entry() bool {
	if e.at < 0 {
		return false
	}
	if e.index++; e.index == 0 {
		e.at = skipBlank(e.b, e.at+1)
		if e.at < len(e.b) && e.b[e.at] == e.closing {
			e.at++
			return false
		}
	} else {
		var more bool
		if e.at, more = next(e.b, e.at, e.closing); !more {
			return false
		}
	}
	if e.closing == '}' {
		if e.at >= len(e.b) || e.b[e.at] != '"' {
			e.at = -1
			return false
		}
		end := skipString(e.b, e.at)
		if end < 0 {
			e.at = -1
			return false
		}
		e.key = e.b[e.at+1 : end-1]
		e.at = skipColon(e.b, end)
	}
	return e.at >= 0
}

// next steps over a comma to the token after it, or over the closing bracket, after
// which there is no more. Anything else is -1.
func next(b []byte, at int, closing byte) (int, bool) {
	if at < 0 {
		return -1, false
	}
	at = skipBlank(b, at)
	if at >= len(b) {
		return -1, false
	}
	switch b[at] {
	case ',':
		return skipBlank(b, at+1), true
	case closing:
		return at + 1, false
	default:
		return -1, false
	}
}
