package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
)

// table says which output a value goes to.
type table struct {
	path     jsonscan.Path
	byText   map[string]int
	numbers  []number // the values that are numbers: 1 is also 1.0
	fallback int      // -1: dropped
	scratch  []byte
}

type number struct {
	text   []byte
	output int
}

// route is the output for a record's value, or -1.
func (t *table) route(value []byte) int {
	field := jsonscan.Lookup(value, t.path)
	if field == nil {
		return t.fallback
	}
	text := jsonscan.Text(t.scratch, field)
	if output, ok := t.byText[string(text)]; ok {
		return output
	}
	if len(t.numbers) > 0 && jsonscan.IsNumber(field) {
		for _, n := range t.numbers {
			if jsonscan.CompareNumbers(field, n.text) == 0 {
				return n.output
			}
		}
	}
	return t.fallback
}

func parse(config millrun.Config, outputs []string) (t table, err error) {
	if err := config.Only("field", "routes", "default"); err != nil {
		return t, err
	}
	if config["field"] == "" || config["routes"] == "" {
		return t, errors.New("field and routes are needed, as field=status and routes=paid:orders-paid,open:orders-open")
	}
	if t.path, err = jsonscan.ParsePath(config["field"]); err != nil {
		return t, errors.New("field: " + err.Error())
	}
	t.byText, t.fallback, t.scratch = map[string]int{}, -1, make([]byte, 0, 256)
	if topic, ok := config["default"]; ok {
		if t.fallback, err = outputOf(topic, outputs); err != nil {
			return t, errors.New("default: " + err.Error())
		}
	}
	for _, route := range strings.Split(config["routes"], ",") {
		at := strings.LastIndexByte(route, ':') // a topic's name has none
		if at < 0 {
			return t, errors.New("routes: " + strconv.Quote(route) + " is not value:topic")
		}
		value := route[:at]
		output, err := outputOf(route[at+1:], outputs)
		if err != nil {
			return t, errors.New("routes: " + err.Error())
		}
		if err := t.add(value, output); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (t *table) add(value string, output int) error {
	_, twice := t.byText[value]
	if jsonscan.IsNumber([]byte(value)) {
		for _, n := range t.numbers {
			twice = twice || jsonscan.CompareNumbers(n.text, []byte(value)) == 0
		}
		t.numbers = append(t.numbers, number{[]byte(value), output})
	}
	if twice {
		return errors.New("routes: the value " + strconv.Quote(value) + " has two topics")
	}
	t.byText[value] = output
	return nil
}

func outputOf(topic string, outputs []string) (int, error) {
	if output := slices.Index(outputs, topic); output >= 0 {
		return output, nil
	}
	return -1, errors.New("topic " + strconv.Quote(topic) + " is not among the outputs (" + strings.Join(outputs, ", ") + ")")
}
