package api

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill gives every field of v a value that is told from its neighbours.
func fill(v reflect.Value, rng *rand.Rand, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" {
				fill(v.Field(i), rng, depth+1)
			}
		}
	case reflect.Slice:
		n := rng.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), rng, depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), rng, depth+1)
		}
	case reflect.Pointer:
		if rng.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), rng, depth+1)
		}
	case reflect.String:
		v.SetString("abcdefgh"[:rng.IntN(9)])
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(int8(rng.Uint32())))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(uint8(rng.Uint32())))
	}
}

func TestShapesFitWhatKmsgWritesAtEveryVersion(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for key := range shapes {
		s, err := shapeOf(key)
		if err != nil {
			t.Fatal(err)
		}
		req := kmsg.RequestForKey(key)
		for version := int16(0); version <= req.MaxVersion(); version++ {
			for range 50 {
				req := kmsg.RequestForKey(key)
				req.SetVersion(version)
				fill(reflect.ValueOf(req).Elem(), rng, 0)
				body := req.AppendTo(nil)
				for _, more := range []int{0, 1} { // what is left over is not looked at, but is known
					left, err := s.check(append(body, make([]byte, more)...), version, req.IsFlexible(), 1024)
					if err != nil || left != more {
						t.Fatalf("%s v%d: %d left, want %d; %v\n%+v\n%x", kmsg.NameForKey(key), version, left, more, err, req, body)
					}
				}
				if len(body) == 0 {
					continue
				}
				if _, err := s.check(body[:len(body)-1], version, req.IsFlexible(), 1024); err == nil {
					t.Fatalf("%s v%d: a byte too few was taken", kmsg.NameForKey(key), version)
				}
			}
		}
	}
}

func TestShapesRefuseCountsThatTheBytesDoNotBear(t *testing.T) {
	big := binary.AppendUvarint(nil, 1<<32-1)
	for _, test := range []struct {
		name    string
		key     int16
		version int16
		body    []byte
	}{
		{"a billion topics", 3, 12, big},
		{"a billion tags", 12, 4, append([]byte{1, 0, 0, 0, 0, 1, 0}, big...)},
		{"more tags than allowed", 12, 4, append([]byte{1, 0, 0, 0, 0, 1, 0, 0x81, 0x08}, make([]byte, 2050)...)},
		{"a tag larger than the rest", 12, 4, append([]byte{1, 0, 0, 0, 0, 1, 0, 1, 0}, big...)},
		{"a string of a negative length", 12, 0, []byte{0xff, 0xfe, 0, 0, 0, 0, 0xff, 0xff}},
		{"an array of a negative length", 42, 0, []byte{0x80, 0, 0, 0}},
		{"many elements of one byte that need nine", 19, 5, append(binary.AppendUvarint(nil, 1<<20), make([]byte, 1<<20)...)},
		{"a uvarint that does not end", 3, 12, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := shapeOf(test.key)
			if err != nil {
				t.Fatal(err)
			}
			req := kmsg.RequestForKey(test.key)
			req.SetVersion(test.version)
			if _, err := s.check(test.body, test.version, req.IsFlexible(), 1024); err == nil {
				t.Fatal("it was taken")
			}
		})
	}
}

// footprint is the memory behind v: what its slices, strings and pointers hold.
func footprint(v reflect.Value) int {
	n := 0
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			n += footprint(v.Field(i))
		}
	case reflect.Slice:
		n = v.Cap() * int(v.Type().Elem().Size())
		for i := range v.Len() {
			n += footprint(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			n = int(v.Type().Elem().Size()) + footprint(v.Elem())
		}
	case reflect.String:
		n = v.Len()
	case reflect.Map:
		n = v.Len() * 64
	}
	return n
}

// What passes its shape is decoded by kmsg without a panic, in no time, and into no more memory than was promised.
func FuzzShapesBoundWhatKmsgDecodes(f *testing.F) {
	for key := range shapes {
		req := kmsg.RequestForKey(key)
		for version := int16(0); version <= req.MaxVersion(); version++ {
			req.SetVersion(version)
			f.Add(key, version, req.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		s, err := shapeOf(key)
		if err != nil || version < 0 || version > kmsg.RequestForKey(key).MaxVersion() {
			return
		}
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		if _, err := s.check(body, version, req.IsFlexible(), 1024); err != nil {
			return
		}
		_ = req.ReadFrom(body) // may fail: shapes take null everywhere
		if n := footprint(reflect.ValueOf(req).Elem()); n > decodedFactor*len(body)+64 {
			t.Fatalf("%s v%d: %d bytes became %d: %x", kmsg.NameForKey(key), version, len(body), n, body)
		}
	})
}
