package binary

import (
	"bytes"
	"strings"
	"testing"
)

var roomy = Limits{
	ModuleBytes: 1 << 20, BodyBytes: 1 << 10, Blocks: 20, Loops: 10, Nesting: 8, LoopNesting: 4, BrTable: 16,
	Locals: 10, TableSize: 100, TypeValues: 20, Types: 10, Params: 10, Imports: 10, Funcs: 10, Tables: 2, Globals: 10, Exports: 10, Segments: 10,
}

func u32(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func sized(b ...byte) []byte { return append(u32(len(b)), b...) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func section(id byte, content ...byte) []byte { return append([]byte{id}, sized(content...)...) }

func module(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), join(sections...)...)
}

var (
	typeSection = section(1, 2, 0x60, 0, 0, 0x60, 2, 0x7f, 0x7e, 1, 0x7f) // () -> (), (i32, i64) -> i32
	oneFunction = section(3, 1, 0)
)

// withBody is a module of one function () -> () with these locals and instructions.
func withBody(code ...byte) []byte {
	body := append([]byte{0}, code...)
	return module(typeSection, oneFunction, section(10, append([]byte{1}, sized(body...)...)...))
}

func TestParseFindsImportsExportsAndTypes(t *testing.T) {
	b := module(
		typeSection,
		section(2, join([]byte{2, 3}, []byte("env"), []byte{5}, []byte("abort"), []byte{0, 1},
			[]byte{3}, []byte("env"), []byte{1}, []byte("m"), []byte{2, 0, 1})...),
		oneFunction,
		section(4, 1, 0x70, 1, 1, 100),
		section(5, 1, 1, 2, 3),
		section(6, 1, 0x7f, 1, 0x41, 0xff, 0x7f, 0x0b),
		section(7, join([]byte{2, 1, 'f', 0, 1, 6}, []byte("memory"), []byte{2, 0})...),
		section(8, 1),
		section(9, 1, 0, 0x41, 0, 0x0b, 1, 1),
		section(12, 1),
		section(10, join([]byte{1}, sized(1, 2, 0x7f, 0x02, 0x40, 0x0c, 0, 0x0b, 0x0b))...),
		section(11, 1, 0, 0x41, 0, 0x0b, 2, 'h', 'i'),
		section(0, join([]byte{4}, []byte("name"), []byte{1}, sized(1, 1, 1, 'f'))...),
	)
	m, err := Parse(b, roomy)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Imports) != 2 || m.Imports[0].Type.String() != "(i32, i64) -> i32" || m.Imports[1].Kind != KindMemory {
		t.Errorf("imports %+v", m.Imports)
	}
	e, ok := m.Export("f")
	if ft, known := m.FuncType(e.Index); !ok || !known || ft.String() != "() -> ()" {
		t.Errorf("export %+v %v", e, ok)
	}
	if _, known := m.FuncType(2); known {
		t.Error("function 2 of 2 has a type")
	}
	if len(m.Memories) != 1 || m.Memories[0] != (Range{2, 3, true}) || !m.HasStart || m.Globals != 1 || !m.CleanNames {
		t.Errorf("%+v", m)
	}
	stripped := m.StripNames(b)
	if again, err := Parse(stripped, roomy); err != nil || len(again.nameSections) != 0 || len(stripped) != len(b)-13 {
		t.Errorf("without names: %d of %d bytes, %v", len(stripped), len(b), err)
	}
}

func repeated(n int, b ...byte) []byte { return bytes.Repeat(b, n) }

func TestModulesBeyondALimitAreRefusedByName(t *testing.T) {
	cases := []struct {
		name, want string
		b          []byte
	}{
		{"no module", "no WebAssembly module", []byte("#!/bin/sh\n")},
		{"a component", "no components", []byte("\x00asm\x0d\x00\x01\x00")},
		{"too long", "1048577 bytes, at most 1048576", make([]byte, 1<<20+1)},
		{"a section beyond the end", "unexpected end", module([]byte{1, 0x7f})},
		{"an unknown section", "id 13", module(section(13))},
		{"sections out of order", "out of order", module(section(3, 0), section(1, 0))},
		{"a section twice", "out of order", module(section(1, 0), section(1, 0))},
		{"bytes left over", "1 bytes are left over", module(section(1, 0, 0))},
		{"a count beyond the bytes", "9 types in 1 bytes", module(section(1, 9, 0x60))},
		{"a huge count", "4294967295 types, at most 10", module(section(1, 0xff, 0xff, 0xff, 0xff, 0x0f))},
		{"a number of six bytes", "malformed number", module(section(1, 0x80, 0x80, 0x80, 0x80, 0x80, 0))},
		{"a number above 32 bits", "malformed number", module(section(1, 0xff, 0xff, 0xff, 0xff, 0x7f))},
		{"an unknown type", "type 7 of 2", module(typeSection, section(3, 1, 7))},
		{"a body too few", "1 functions are declared, 0 have a body", module(typeSection, oneFunction)},
		{"a body too large", "2000 bytes, at most 1024", withBody(repeated(1999, 0x0b)...)},
		{"a big table", "table of 101 entries", module(section(4, 1, 0x70, 0, 101))},
		{"two memories", "2 memories, at most 1", module(section(5, 2, 0, 1, 0, 1))},
		{"a shared memory", "flag 3", module(section(5, 1, 3, 1, 1))},
		{"an export twice", "exported twice", module(section(7, 2, 1, 'a', 0, 0, 1, 'a', 0, 0))},
		{"a name that is no UTF-8", "not UTF-8", module(section(7, 1, 1, 0xff, 0, 0))},
		{"a start function that is not there", "start function 3", module(section(8, 3))},
		{"data segments announced", "2 data segments are announced", module(section(12, 2))},
		{"an element of form 8", "form 8", module(section(9, 1, 8))},
		{"an extended constant", "more than one instruction", module(section(6, 1, 0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b))},
		{"too many locals", "4294967295 locals, at most 10", module(typeSection, oneFunction,
			section(10, join([]byte{1}, sized(1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b))...))},
		{"too many blocks", "more than 20 blocks", withBody(repeated(21, 0x02, 0x40, 0x0b)...)},
		{"too many loops", "more than 10 loops", withBody(repeated(11, 0x03, 0x40, 0x0b)...)},
		{"too deep", "more than 8 blocks inside each other", withBody(repeated(9, 0x02, 0x40)...)},
		{"loops too deep", "more than 4 loops inside each other", withBody(repeated(5, 0x03, 0x40)...)},
		{"a wide br_table", "17 targets of br_table", withBody(join([]byte{0x41, 0, 0x0e, 17}, make([]byte, 18))...)},
		{"a body without an end", "unexpected end", withBody(0x01)},
		{"bytes after the end", "1 bytes after the end", withBody(0x0b, 0x01)},
		{"an atomic instruction", "0xfe is not of WebAssembly 2.0", withBody(0xfe, 0, 0x0b)},
		{"a tail call", "0x12 is not", withBody(0x12, 0, 0x0b)},
		{"relaxed SIMD", "0xfd 256 is not", withBody(0xfd, 0x80, 0x02, 0x0b)},
		{"an unknown bulk instruction", "0xfc 18 is not", withBody(0xfc, 18, 0x0b)},
		{"a table without a maximum that grows", "table.grow on table 0", module(typeSection, oneFunction, section(4, 1, 0x70, 0, 1),
			section(10, join([]byte{1}, sized(0, 0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a, 0x0b))...))},
	}
	for _, c := range cases {
		m, err := Parse(c.b, roomy)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want %q", c.name, m, err, c.want)
		}
	}
}

// Each instruction with immediates, once: what follows must be found in its place.
func TestInstructionsAreSteppedOverWhole(t *testing.T) {
	for _, code := range [][]byte{
		{0x0c, 0}, {0x0d, 0}, {0x0e, 1, 0, 0}, {0x10, 0}, {0x11, 0, 0}, {0x1c, 1, 0x7f}, {0x20, 0}, {0x25, 0}, {0x28, 2, 0x80, 1},
		{0x3f, 0}, {0x40, 0}, {0x41, 0xff, 0xff, 0xff, 0xff, 0x07}, {0x42, 0x7f}, {0x43, 0x0b, 0x0b, 0x0b, 0x0b},
		{0x44, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b}, {0x6a}, {0xc4}, {0xd0, 0x6f}, {0xd1}, {0xd2, 0},
		{0xfc, 0}, {0xfc, 8, 0, 0}, {0xfc, 9, 0}, {0xfc, 10, 0, 0}, {0xfc, 11, 0}, {0xfc, 12, 0, 0}, {0xfc, 14, 0, 0}, {0xfc, 16, 0},
		{0xfd, 0, 4, 0}, append([]byte{0xfd, 12}, repeated(16, 0x0b)...), append([]byte{0xfd, 13}, make([]byte, 16)...), {0xfd, 21, 0x0b},
		{0xfd, 84, 0, 0x0b, 0x0b}, {0xfd, 92, 0, 0x0b}, {0xfd, 0xff, 1}, {0x02, 0x40, 0x0b}, {0x04, 0x7f, 0x05, 0x0b},
	} {
		for _, extra := range []int{0, 1} {
			b := withBody(append(bytes.Clone(code), repeated(1+extra, 0x0b)...)...)
			_, err := Parse(b, roomy)
			if (err == nil) != (extra == 0) {
				t.Errorf("% x with %d bytes after the end: %v", code, extra, err)
			}
		}
	}
}

func TestNamesThatLieAreNotClean(t *testing.T) {
	name := func(subsections ...byte) []byte {
		return section(0, join([]byte{4}, []byte("name"), subsections)...)
	}
	for _, c := range []struct {
		b     []byte
		clean bool
	}{
		{module(name(0, 2, 1, 'm')), true},
		{module(name(9, 1, 0)), true},
		{module(name(1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f)), false},
		{module(name(2, 7, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)), false},
		{module(name(1, 2, 0, 0)), false},
		{module(name(0, 9, 1, 'm')), false},
		{module(name(0, 2, 1, 'm'), name(0, 2, 1, 'm')), false},
	} {
		m, err := Parse(c.b, roomy)
		if err != nil || m.CleanNames != c.clean {
			t.Errorf("% x: clean %v, %v", c.b[8:], m.CleanNames, err)
		}
		if again, err := Parse(m.StripNames(c.b), roomy); err != nil || !again.CleanNames {
			t.Errorf("% x: not clean without its names", c.b[8:])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(withBody(0x02, 0x40, 0x0c, 0, 0x0b, 0x0b))
	f.Add(withBody(0xfd, 12, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x1a, 0x0b))
	f.Add(module(section(9, 2, 0, 0x41, 0, 0x0b, 1, 1, 7, 0x70, 1, 0xd0, 0x70, 0x0b), section(11, 1, 1, 1, 'x')))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b, roomy)
		if err != nil {
			return
		}
		again, err := Parse(m.StripNames(b), roomy)
		if err != nil || len(again.Exports) != len(m.Exports) || len(again.Funcs) != len(m.Funcs) {
			t.Fatalf("without its names it is another module: %v", err)
		}
	})
}
