// Command contains is the filter of P15 in plain Go: values that hold ERROR.
package main

import (
	"bytes"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/filter"
)

func init() {
	text := []byte("ERROR")
	filter.Register(filter.Module{
		Wants: millrun.Value,
		Keep:  func(r *millrun.Record) bool { return bytes.Contains(r.Value, text) },
	})
}

func main() {}
