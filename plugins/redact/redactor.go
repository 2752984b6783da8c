package main

import (
	"crypto/sha256"
	"errors"
	"strings"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
)

// masked is what stands where something was.
const masked = "***"

const (
	markMask = iota
	markHash
)

// redactor changes one value at a time. What it returns is valid until the next.
type redactor struct {
	rewriter jsonscan.Rewriter
	patterns []pattern

	out     []byte
	text    []byte // a string's content
	found   []byte // the same with patterns masked
	encoded []byte // and as JSON again
}

// redact is a record's value without what has to go; false if it stays as it is.
func (r *redactor) redact(value []byte) ([]byte, bool) {
	if value == nil {
		return nil, false
	}
	out, changed, ok := r.rewriter.Rewrite(r.out, value)
	if ok {
		if changed {
			r.out = out
		}
		return out, changed
	}
	return r.mask(value)
}

// mask is text with all patterns masked; false if none is in it.
func (r *redactor) mask(text []byte) ([]byte, bool) {
	spans := findAll(r.patterns, text)
	if len(spans) == 0 {
		return nil, false
	}
	r.found = r.found[:0]
	at := 0
	for _, s := range spans {
		r.found = append(r.found, text[at:s.start]...)
		r.found = append(r.found, masked...)
		at = s.end
	}
	r.found = append(r.found, text[at:]...)
	return r.found, true
}

// maskString is for strings inside of JSON, which may be escaped.
func (r *redactor) maskString(value []byte) []byte {
	r.text = append(r.text[:0], jsonscan.Text(r.text, value)...)
	found, ok := r.mask(r.text)
	if !ok {
		return nil
	}
	r.encoded = jsonscan.AppendString(r.encoded[:0], found)
	return r.encoded
}

// replace appends what stands for a field's value. A string is hashed without its
// quotes and escapes, anything else as it stands.
func replace(dst []byte, mark int, value []byte) []byte {
	dst = append(dst, '"')
	if mark == markHash {
		sum := sha256.Sum256(jsonscan.Text(nil, value))
		const digits = "0123456789abcdef"
		for _, c := range sum {
			dst = append(dst, digits[c>>4], digits[c&15])
		}
	} else {
		dst = append(dst, masked...)
	}
	return append(dst, '"')
}

func parse(config millrun.Config) (*redactor, error) {
	if err := config.Only("remove", "mask", "hash", "patterns"); err != nil {
		return nil, err
	}
	if len(config) == 0 {
		return nil, errors.New("give at least one of remove, mask, hash and patterns")
	}
	r := &redactor{rewriter: jsonscan.Rewriter{Rules: &jsonscan.Rules{}, Value: replace}}
	for _, kind := range []struct {
		key  string
		edit jsonscan.Edit
		mark int
	}{{"remove", jsonscan.Remove, 0}, {"mask", jsonscan.Replace, markMask}, {"hash", jsonscan.Replace, markHash}} {
		list, ok := config[kind.key]
		if !ok {
			continue
		}
		for _, text := range strings.Split(list, ",") {
			path, err := jsonscan.ParsePath(text)
			if err != nil {
				return nil, errors.New(kind.key + ": " + err.Error())
			}
			if !r.rewriter.Rules.Add(path, kind.edit, kind.mark) {
				return nil, errors.New(kind.key + ": " + text + " overlaps with another path")
			}
		}
	}
	if list, ok := config["patterns"]; ok {
		var err error
		if r.patterns, err = parsePatterns(list); err != nil {
			return nil, err
		}
		r.rewriter.String = r.maskString
	}
	return r, nil
}
