package millrun

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Config is what the deployment was given with --config.
type Config map[string]string

// Only refuses keys that are not among those named.
func (c Config) Only(keys ...string) error {
	var unknown []string
	for key := range c {
		if !slices.Contains(keys, key) {
			unknown = append(unknown, strconv.Quote(key))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return errors.New("unknown key " + strings.Join(unknown, ", ") + " (known: " + strings.Join(keys, ", ") + ")")
}

var errConfig = errors.New("the configuration is no JSON object of strings")

// ParseConfig reads one JSON object of strings. encoding/json would make each
// module a fifth larger.
func ParseConfig(text []byte) (Config, error) {
	s := configText{text}
	c := Config{}
	if !s.take('{') {
		return nil, errConfig
	}
	for n := 0; !s.take('}'); n++ {
		if n > 0 && !s.take(',') {
			return nil, errConfig
		}
		key, ok := s.str()
		if !ok || !s.take(':') {
			return nil, errConfig
		}
		if c[key], ok = s.str(); !ok {
			return nil, errConfig
		}
	}
	if s.blank(); len(s.rest) > 0 {
		return nil, errConfig
	}
	return c, nil
}

type configText struct{ rest []byte }

func (s *configText) blank() {
	for len(s.rest) > 0 && strings.IndexByte(" \t\r\n", s.rest[0]) >= 0 {
		s.rest = s.rest[1:]
	}
}

func (s *configText) take(c byte) bool {
	s.blank()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *configText) str() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	var out []byte
	for len(s.rest) > 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return string(out), true
		case c < ' ':
			return "", false
		case c == '\\':
			var ok bool
			if out, ok = s.escape(out); !ok {
				return "", false
			}
		default:
			out = append(out, c)
		}
	}
	return "", false
}

func (s *configText) escape(out []byte) ([]byte, bool) {
	if len(s.rest) == 0 {
		return nil, false
	}
	c := s.rest[0]
	s.rest = s.rest[1:]
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
		return append(out, "\"\\/\b\f\n\r\t"[at]), true
	}
	if c != 'u' {
		return nil, false
	}
	r, ok := s.hex4()
	if !ok {
		return nil, false
	}
	if utf16.IsSurrogate(r) {
		before := s.rest
		if len(s.rest) >= 2 && s.rest[0] == '\\' && s.rest[1] == 'u' {
			s.rest = s.rest[2:]
			low, _ := s.hex4()
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				s.rest = before
			}
		}
	}
	return utf8.AppendRune(out, r), true
}

func (s *configText) hex4() (rune, bool) {
	if len(s.rest) < 4 {
		return 0, false
	}
	v, err := strconv.ParseUint(string(s.rest[:4]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.rest = s.rest[4:]
	return rune(v), true
}
