// Package record is the record batch, version 2: the one form that records have on the wire, on disk and at a Wasm
// guest's door. A [Batch] is a view over bytes that are kept as they were received; only the fields outside the checksum
// (base offset, leader epoch) are ever patched in place.
//
// The layout (big-endian; https://kafka.apache.org/documentation/#recordbatch):
//
//	 0  int64  base offset
//	 8  int32  length of what follows this field
//	12  int32  partition leader epoch
//	16  int8   magic (2)
//	17  uint32 CRC-32C of everything from attributes to the end
//	21  int16  attributes: bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 has delete horizon
//	23  int32  last offset delta
//	27  int64  base timestamp, ms
//	35  int64  max timestamp, ms
//	43  int64  producer id (-1 none)
//	51  int16  producer epoch (-1 none)
//	53  int32  base sequence (-1 none)
//	57  int32  number of records
//	61         records, compressed as one block by the codec
//
// The package is a leaf: it does no I/O and knows no other package of the project.
package record
