// Package transform makes a Go program a millrun transform: see the package millrun.
//
//	transform.Register(transform.Module{
//		Wants: millrun.Value,
//		Map: func(r *millrun.Record, out *transform.Output) error {
//			out.To(0).Value(bytes.ToUpper(r.Value))
//			return nil
//		},
//	})
package transform

import millrun "github.com/millrun/millrun/plugins/sdk/go"

// Module is a transform.
type Module struct {
	// Wants are the columns that Map looks at. What a row does not set is copied
	// from the record whether it was asked for or not.
	Wants millrun.Wants
	// Configure gets what was given with --config, before the first record. Its
	// error refuses the deployment and is its reason. Nil refuses every key.
	Configure func(millrun.Config) error
	// Map makes rows of a record: none drops it. An error fails the call, and with
	// it everything that the call made; its text goes to the log.
	Map func(r *millrun.Record, out *Output) error
}

var transform func(r *millrun.Record, out *Output) error

// Register makes m the module. Call it once, from an init function.
func Register(m Module) {
	transform = m.Map
	millrun.Register(millrun.Guest{Wants: m.Wants, Configure: m.Configure})
}

// output is what the last call made; it stays until the next.
var output Output

// run makes rows of n records.
func run(in []byte, n int) (rows []byte, err error) {
	output.reset()
	reader := millrun.NewRows(in)
	var r millrun.Record
	for i := 0; i < n && reader.Next(&r); i++ {
		output.source, output.record = uint32(i), &r
		err := transform(&r, &output)
		output.finish()
		if err != nil {
			return nil, err
		}
	}
	return output.rows, nil
}
