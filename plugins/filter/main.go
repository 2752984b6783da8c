// Command filter is the module of that name which ships with millrun: it keeps the
// records whose JSON value has a field that compares as asked, or whose raw value
// holds a text.
//
//	--config field=customer.country --config op=eq --config value=NL
//	--config text=ERROR
//	--config invert=true
package main

import (
	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/filter"
)

func init() {
	var c condition
	filter.Register(filter.Module{
		Wants: millrun.Value,
		Configure: func(config millrun.Config) (err error) {
			c, err = parse(config)
			return err
		},
		Keep: func(r *millrun.Record) bool { return c.holds(r.Value) },
	})
}

func main() {}
