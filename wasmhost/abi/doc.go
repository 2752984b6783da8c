// Package abi is the contract between millrun and a WebAssembly guest, version 1:
// names of exports and imports, and the layout of everything that crosses.
// spec/wasm-abi.md is the normative text; spec/vectors/wasm holds its golden bytes.
//
// All numbers are little-endian, packed, without padding.
//
//	context      0 u32 size of this structure, topic included (26 + topicLen)
//	             4 i32 partition
//	             8 i64 base offset
//	            16 i64 base timestamp, ms
//	            24 u16 topicLen
//	            26 topic
//
//	input row    0 i64 timestamp, ms        (-1: none, or not asked for)
//	             8 i32 keyLen               (-1: null, -2: not asked for)
//	            12 i32 valueLen             (-1: null, -2: not asked for)
//	            16 i32 headersLen           (-2: not asked for)
//	            20 u32 offset delta from the context's base offset
//	            24 key | value | headers
//
//	output row   0 i64 timestamp, ms        (-1: the input's)
//	             8 i32 keyLen               (-1: null, -2: the input's)
//	            12 i32 valueLen             (-1: null, -2: the input's)
//	            16 i32 headersLen           (-1 or 0: none, -2: the input's)
//	            20 u32 source: index of the input row in this call
//	            24 u16 output: index among the declared outputs
//	            26 u16 flags (bit 0: partition is valid)
//	            28 i32 partition
//	            32 key | value | headers
//
//	headers      u32 count, then count times: u32 keyLen | key | i32 valueLen (-1: null) | value
//
// The package is a leaf: it imports nothing of millrun, so that the broker, the
// host and a test may all lean on it. Appenders append to the slice they are
// given and never fail; readers treat every byte as hostile and never allocate.
package abi
