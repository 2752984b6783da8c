// Command route is the module of that name which ships with millrun: it sends each
// record to the output that a field of its JSON value picks.
//
//	--config field=status --config routes=paid:orders-paid,open:orders-open --config default=orders-other
package main

import (
	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/transform"
)

func init() {
	var t table
	transform.Register(transform.Module{
		Wants: millrun.Value,
		Configure: func(config millrun.Config) (err error) {
			t, err = parse(config, millrun.Outputs())
			return err
		},
		Map: func(r *millrun.Record, out *transform.Output) error {
			if output := t.route(r.Value); output >= 0 {
				out.To(output)
			}
			return nil
		},
	})
}

func main() {}
