// Command redact is the module of that name which ships with millrun: it removes,
// masks or hashes fields of JSON values, and masks card numbers and mail addresses
// wherever they stand.
//
//	--config remove=customer.ssn --config mask=customer.name,items.0.note --config hash=customer.email
//	--config patterns=card,email
package main

import (
	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/transform"
)

func init() {
	var r *redactor
	transform.Register(transform.Module{
		Wants: millrun.Value,
		Configure: func(config millrun.Config) (err error) {
			r, err = parse(config)
			return err
		},
		Map: func(record *millrun.Record, out *transform.Output) error {
			row := out.To(0)
			if value, changed := r.redact(record.Value); changed {
				row.Value(value)
			}
			return nil
		},
	})
}

func main() {}
