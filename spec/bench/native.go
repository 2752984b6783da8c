//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
	"github.com/millrun/millrun/wasmhost/abi"
)

// native does in Go what a guest does: it is given the same bytes, which hold n records, and answers with the same, valid until the next call.
type native func(in []byte, n int) ([]byte, error)

// filterStored asks keep about the value of each record of a batch as it is stored. Its answer is a bitmap.
func filterStored(keep func(value []byte) bool) native {
	var bitmap []byte
	return func(in []byte, n int) ([]byte, error) {
		bitmap = cleared(bitmap, abi.BitmapLen(n))
		r := record.NewReader(in, n)
		var rec record.Record
		for i := range n {
			if ok, err := r.Next(&rec); err != nil || !ok {
				return nil, errors.Join(err, fmt.Errorf("no record %d", i))
			}
			if keep(rec.Value) {
				abi.SetPass(bitmap, i)
			}
		}
		return bitmap, nil
	}
}

// filterRows asks keep about the value of each row. Its answer is a bitmap.
func filterRows(keep func(value []byte) bool) native {
	var bitmap []byte
	return func(in []byte, n int) ([]byte, error) {
		bitmap = cleared(bitmap, abi.BitmapLen(n))
		return bitmap, eachRow(in, func(i int, row *abi.InputRow) {
			if keep(row.Value) {
				abi.SetPass(bitmap, i)
			}
		})
	}
}

// copyRows answers with rows of the records of which keep says so, their keys and values copied.
func copyRows(keep func(value []byte) bool) native {
	var out []byte
	return func(in []byte, _ int) ([]byte, error) {
		out = out[:0]
		return out, eachRow(in, func(i int, row *abi.InputRow) {
			if keep(row.Value) {
				out = appendHead(out, abi.NoTimestamp, lengthOf(row.Key), lengthOf(row.Value), uint32(i))
				out = append(append(out, row.Key...), row.Value...)
			}
		})
	}
}

func eachRow(in []byte, each func(i int, row *abi.InputRow)) error {
	r := abi.NewInputReader(in)
	var row abi.InputRow
	for i := 0; ; i++ {
		if ok, err := r.Next(&row); err != nil || !ok {
			return err
		}
		each(i, &row)
	}
}

// appendHead appends the head of a row without headers for the first output.
func appendHead(out []byte, timestamp int64, keyLen, valueLen int32, source uint32) []byte {
	le := binary.LittleEndian
	var head [32]byte
	le.PutUint64(head[:], uint64(timestamp))
	le.PutUint32(head[8:], uint32(keyLen))
	le.PutUint32(head[12:], uint32(valueLen))
	le.PutUint32(head[20:], source)
	return append(out, head[:]...)
}

// lengthOf is a field's length in a row: -1 for null.
func lengthOf(field []byte) int32 {
	if field == nil {
		return -1
	}
	return int32(len(field))
}

func cleared(b []byte, n int) []byte {
	b = append(b[:0], make([]byte, n)...)
	return b
}

// orders is the transform of examples/guests, for the orders that this benchmark has: small ones, their totals with one digit after the point.
type orders struct {
	id, status, total, email, country, at jsonscan.Path
	out, value, place                     []byte
}

func newOrders() (*orders, error) {
	o := &orders{}
	for path, text := range map[*jsonscan.Path]string{&o.id: "id", &o.status: "status", &o.total: "total", &o.email: "customer.email",
		&o.country: "customer.country", &o.at: "at"} {
		var err error
		if *path, err = jsonscan.ParsePath(text); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *orders) transform(in []byte, _ int) ([]byte, error) {
	o.out = o.out[:0]
	err := eachRow(in, o.order)
	return o.out, err
}

func (o *orders) order(i int, row *abi.InputRow) {
	id := jsonscan.Lookup(row.Value, o.id)
	euros, part, _ := bytes.Cut(jsonscan.Lookup(row.Value, o.total), []byte("."))
	cents, ok := whole(euros)
	tenths, isTenths := whole(part)
	if id == nil || !ok || !isTenths || len(part) != 1 {
		return // no order of this benchmark
	}
	cents = cents*100 + tenths*10
	if string(jsonscan.Text(nil, jsonscan.Lookup(row.Value, o.status))) == "cancelled" {
		return
	}
	o.value = append(append(o.value[:0], `{"id":`...), id...)
	o.value = strconv.AppendInt(append(o.value, `,"cents":`...), cents, 10)
	if email := jsonscan.Lookup(row.Value, o.email); jsonscan.IsString(email) {
		o.value = append(append(o.value, `,"email":"***`...), email[max(0, bytes.LastIndexByte(email, '@')):]...)
	}
	o.value = append(o.value, '}')
	o.place = strconv.AppendInt(append(o.place[:0], "in/0/"...), int64(row.OffsetDelta), 10)
	timestamp := int64(abi.NoTimestamp)
	if at, ok := whole(jsonscan.Lookup(row.Value, o.at)); ok {
		timestamp = at
	}
	o.appendRow(uint32(i), timestamp, jsonscan.Lookup(row.Value, o.country))
}

// whole reads a number of at most fifteen digits and nothing else.
func whole(text []byte) (n int64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(text) > 0 && len(text) <= 15
}

// appendRow appends the order's row, with the record's key and two headers.
func (o *orders) appendRow(source uint32, timestamp int64, country []byte) {
	le, start, copied := binary.LittleEndian, len(o.out), int32(-2)
	out := append(appendHead(o.out, timestamp, copied, int32(len(o.value)), source), o.value...)
	at := len(out)
	out = appendHeader(le.AppendUint32(out, 1), "from", o.place)
	if jsonscan.IsString(country) {
		out = appendHeader(out, "region", jsonscan.Text(nil, country))
		le.PutUint32(out[at:], 2)
	}
	le.PutUint32(out[start+16:], uint32(len(out)-at))
	o.out = out
}

func appendHeader(out []byte, key string, value []byte) []byte {
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(key))), key...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(value))), value...)
}
