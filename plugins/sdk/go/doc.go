// Package millrun is what a millrun module in plain Go imports, with one of its
// two sub-packages:
//
//	package main
//
//	import (
//		"bytes"
//
//		millrun "github.com/millrun/millrun/plugins/sdk/go"
//		"github.com/millrun/millrun/plugins/sdk/go/filter"
//	)
//
//	func init() {
//		filter.Register(filter.Module{
//			Wants: millrun.Value,
//			Keep:  func(r *millrun.Record) bool { return bytes.Contains(r.Value, []byte("ERROR")) },
//		})
//	}
//
//	func main() {}
//
// and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o module.wasm .
//
// A filter says which records go on; a transform (sub-package transform) makes any
// number of records of each, for any of the deployment's outputs. Records come a
// batch at a time and in order. What a Record holds is a view of the batch: it is
// gone when the function returns. Nothing is promised between calls: a module may
// be stopped and started at any time, and run in several places at once.
//
// The package jsonscan beside them finds a field of a JSON value by a dotted path.
//
// Everything but the door to the host works on every platform, so that a module's
// logic is tested with go test. The package needs nothing but the standard library.
package millrun
