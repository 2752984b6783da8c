// Command filter keeps the records whose value holds a text, or whose JSON has a field
// that says a value.
//
//	--config text=WORD
//	--config field=customer.country --config value=NL
package main

import (
	"bytes"
	"errors"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/filter"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
)

// condition is what a value is asked for: a text, or that the field at path says want.
type condition struct {
	text, want []byte
	path       string
}

func (c *condition) configure(config millrun.Config) error {
	if err := config.Only("text", "field", "value"); err != nil {
		return err
	}
	text, hasText := config["text"]
	field, hasField := config["field"]
	value, hasValue := config["value"]
	switch {
	case hasText && !hasField && !hasValue:
		if text == "" {
			return errors.New("text is empty: every record would match")
		}
		c.text = []byte(text)
		return nil
	case hasText || !hasField || !hasValue:
		return errors.New("give either text, or field and value")
	}
	if _, err := jsonscan.ParsePath(field); err != nil {
		return errors.New("field: " + err.Error())
	}
	c.path, c.want = field, []byte(value)
	return nil
}

func (c *condition) keep(r *millrun.Record) bool {
	if c.text != nil {
		return bytes.Contains(r.Value, c.text)
	}
	field := millrun.Field(r.Value, c.path)
	return field != nil && bytes.Equal(jsonscan.Text(nil, field), c.want)
}

func init() {
	c := &condition{}
	filter.Register(filter.Module{Wants: millrun.Value, Configure: c.configure, Keep: c.keep})
}

func main() {}
