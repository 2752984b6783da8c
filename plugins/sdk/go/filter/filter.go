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
}

var keep func(r *millrun.Record) bool

// Register makes m the module. Call it once, from an init function.
func Register(m Module) {
	keep = m.Keep
	millrun.Register(millrun.Guest{Wants: m.Wants, Configure: m.Configure})
}

// bitmap is what the last call returned; it stays until the next.
var bitmap []byte

// run sets one bit for each of n records.
func run(in []byte, n int) []byte {
	size := (n + 7) / 8
	if bitmap == nil || cap(bitmap) < size { // never nil: that means failure
		bitmap = make([]byte, size)
	}
	bitmap = bitmap[:size]
	clear(bitmap)
	rows := millrun.NewRows(in)
	var r millrun.Record
	for i := 0; i < n && rows.Next(&r); i++ {
		if keep(&r) {
			bitmap[i>>3] |= 1 << (i & 7)
		}
	}
	return bitmap
}
