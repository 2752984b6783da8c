package jsonscan

import (
	"unicode/utf16"
	"unicode/utf8"
)

// IsString tells whether a value is a string.
func IsString(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// IsNumber tells whether a value, or a text from elsewhere, is a JSON number.
func IsNumber(value []byte) bool { return len(value) > 0 && skipNumber(value, 0) == len(value) }

// Text is what a value says: a string's content without its quotes and escapes,
// anything else as it stands. It is appended to dst[:0] if it has to be unescaped.
func Text(dst, value []byte) []byte {
	if !IsString(value) {
		return value
	}
	raw := value[1 : len(value)-1]
	for i := range raw {
		if raw[i] == '\\' {
			return Unescape(dst[:0], raw)
		}
	}
	return raw
}

// Unescape appends a string's content, given as it stands between its quotes.
// Half of a surrogate pair becomes U+FFFD.
func Unescape(dst, raw []byte) []byte {
	for at := 0; at < len(raw); at++ {
		if raw[at] != '\\' {
			dst = append(dst, raw[at])
			continue
		}
		at++
		switch raw[at] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(raw[at+1:])
			at += 4
			if utf16.IsSurrogate(r) {
				low := rune(utf8.RuneError)
				if at+6 < len(raw) && raw[at+1] == '\\' && raw[at+2] == 'u' {
					low = hex4(raw[at+3:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					at += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, raw[at])
		}
	}
	return dst
}

func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		switch {
		case c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a':
			r = r<<4 | rune(c-'a'+10)
		default:
			r = r<<4 | rune(c-'A'+10)
		}
	}
	return r
}

// AppendString appends text as a JSON string with its quotes. It escapes only what
// has to be.
func AppendString(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
