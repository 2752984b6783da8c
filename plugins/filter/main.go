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
	var s *scanner
	filter.Register(filter.Module{
		Wants: millrun.Raw,
		Configure: func(config millrun.Config) error {
			c, err := parse(config)
			s = newScanner(&c)
			return err
		},
		Batch: func(section []byte, n int, bits []byte) error { return s.scan(section, n, bits) },
	})
}

func main() {}
