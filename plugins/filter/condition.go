package main

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
)

// condition is what a value is asked for.
type condition struct {
	op      string // "": text
	path    jsonscan.Path
	compare func(field, value []byte) bool // field as it stands in the JSON text
	value   []byte
	text    []byte // instead of path and compare: a substring of the raw value
	invert  bool
}

// holds says whether a record's value passes.
func (c *condition) holds(value []byte) bool {
	var match bool
	if c.path == nil {
		match = value != nil && bytes.Contains(value, c.text)
	} else if field := jsonscan.Lookup(value, c.path); field != nil {
		match = c.compare(field, c.value)
	}
	return match != c.invert
}

func parse(config millrun.Config) (c condition, err error) {
	if err := config.Only("field", "op", "value", "text", "invert"); err != nil {
		return c, err
	}
	switch invert, ok := config["invert"]; {
	case !ok || invert == "false":
	case invert == "true":
		c.invert = true
	default:
		return c, errors.New("invert is " + strconv.Quote(invert) + ", but it must be true or false")
	}
	field, hasField := config["field"]
	text, hasText := config["text"]
	value, hasValue := config["value"]
	op, hasOp := config["op"]
	switch {
	case hasField == hasText:
		return c, errors.New("give exactly one of field and text")
	case hasText && (hasOp || hasValue):
		return c, errors.New("op and value go with field, not with text")
	case hasText && text == "":
		return c, errors.New("text is empty: every record would match")
	case hasText:
		c.text = []byte(text)
		return c, nil
	}
	if c.path, err = jsonscan.ParsePath(field); err != nil {
		return c, errors.New("field: " + err.Error())
	}
	if !hasOp {
		op = "eq"
	}
	c.op, c.value = op, []byte(value)
	c.compare, err = comparison(op, value, hasValue)
	return c, err
}

func comparison(op, value string, hasValue bool) (func(field, value []byte) bool, error) {
	if op == "exists" {
		if hasValue {
			return nil, errors.New("op exists takes no value")
		}
		return func([]byte, []byte) bool { return true }, nil
	}
	if !hasValue {
		return nil, errors.New("op " + op + " needs a value")
	}
	ordered := func(holds func(order int) bool) func(field, value []byte) bool {
		compare := order(value)
		return func(field, value []byte) bool { return holds(compare(field, value)) }
	}
	switch op {
	case "eq":
		return ordered(func(o int) bool { return o == 0 }), nil
	case "ne":
		return ordered(func(o int) bool { return o != 0 }), nil
	case "lt":
		return ordered(func(o int) bool { return o < 0 }), nil
	case "le":
		return ordered(func(o int) bool { return o <= 0 }), nil
	case "gt":
		return ordered(func(o int) bool { return o > 0 }), nil
	case "ge":
		return ordered(func(o int) bool { return o >= 0 }), nil
	case "contains":
		return func(field, value []byte) bool { return bytes.Contains(content(field), value) }, nil
	case "prefix":
		return func(field, value []byte) bool { return bytes.HasPrefix(content(field), value) }, nil
	case "matches":
		pattern, err := regexp.Compile(value)
		if err != nil {
			return nil, errors.New("value: " + err.Error())
		}
		return func(field, _ []byte) bool { return pattern.Match(content(field)) }, nil
	default:
		return nil, errors.New("op " + strconv.Quote(op) + " is not known (known: eq ne lt le gt ge contains prefix matches exists)")
	}
}

// order compares a field with the value: as numbers if both are, else their bytes.
func order(value string) func(field, value []byte) int {
	if !jsonscan.IsNumber([]byte(value)) {
		return func(field, value []byte) int { return bytes.Compare(content(field), value) }
	}
	return func(field, value []byte) int {
		if c := field[0]; c == '-' || c >= '0' && c <= '9' {
			return jsonscan.CompareNumbers(field, value)
		}
		return bytes.Compare(content(field), value)
	}
}

// scratch takes a field's content that has to be unescaped: a guest has one thread.
var scratch []byte

func content(field []byte) []byte {
	text := jsonscan.Text(scratch, field)
	if jsonscan.IsString(field) && cap(text) > cap(scratch) && len(text) > 0 && &text[0] != &field[1] {
		scratch = text
	}
	return text
}
