// Package filter makes a Go program a millrun filter: see the package millrun.
package filter

import millrun "github.com/millrun/millrun/plugins/sdk/go"

// Module is a filter.
type Module struct {
	// Wants are the columns that Keep looks at.
	Wants millrun.Wants
	// Configure gets what was given with --config, before the first record. Its
	// error refuses the deployment and is its reason. Nil refuses every key.
	Configure func(millrun.Config) error
	// Keep says whether a record goes on. A panic fails the call.
	Keep func(r *millrun.Record) bool
	// Batch, instead of Keep, gets the n records of a call at once: as they stand in a
	// batch if Wants is millrun.Raw, else in rows (millrun.NewRows). It sets bit i%8 of
	// bits[i/8] for each record i that goes on; all are 0 before. An error fails the
	// call, and its text goes to the log.
	Batch func(in []byte, n int, bits []byte) error
}

// module is set by a guest's init and read by its exports.
var module Module

// Register makes m the module. Call it once, from an init function.
func Register(m Module) {
	module = m
	millrun.Register(millrun.Guest{Wants: m.Wants, Configure: m.Configure})
}

// bitmap is what the last call returned; it stays until the next.
var bitmap []byte

// run sets one bit for each of n records.
func run(in []byte, n int) ([]byte, error) {
	size := (n + 7) / 8
	if bitmap == nil || cap(bitmap) < size { // never nil: that means failure
		bitmap = make([]byte, size)
	}
	bitmap = bitmap[:size]
	clear(bitmap)
	if module.Batch != nil {
		return bitmap, module.Batch(in, n, bitmap)
	}
	rows := millrun.NewRows(in)
	var r millrun.Record
	for i := 0; i < n && rows.Next(&r); i++ {
		if module.Keep(&r) {
			bitmap[i>>3] |= 1 << (i & 7)
		}
	}
	return bitmap, nil
}
