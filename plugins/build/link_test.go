package main

import (
	"bytes"
	"strings"
	"testing"

	structure "github.com/millrun/millrun/wasmhost/binary"
)

// sectionBytes is a section of a module whose parts are all short.
func sectionBytes(id byte, content ...byte) string {
	return string(append([]byte{id, byte(len(content))}, content...))
}

func vector(entries ...string) []byte {
	return append([]byte{byte(len(entries))}, strings.Join(entries, "")...)
}

func name(s string) string { return string(rune(len(s))) + s }

const head = "\x00asm\x01\x00\x00\x00"

// module imports what is named, each of type 1, and defines one function that calls function 1.
func module(imports ...string) []byte {
	var entries []string
	for _, im := range imports {
		from, to, _ := strings.Cut(im, ":")
		entries = append(entries, name(from)+name(to)+"\x00\x01")
	}
	return []byte(head + sectionBytes(1, vector("\x60\x00\x00", "\x60\x01\x7f\x01\x7f")...) + sectionBytes(2, vector(entries...)...) +
		sectionBytes(3, vector("\x00")...) + sectionBytes(10, vector("\x07\x00\x41\x05\x10\x01\x1a\x0b")...))
}

// object is one function (i32) -> i32 of these instructions.
func object(code string) []byte {
	body := "\x00" + code + "\x0b"
	return []byte(head + sectionBytes(1, vector("\x60\x01\x7f\x01\x7f")...) + sectionBytes(3, vector("\x00")...) +
		sectionBytes(10, vector(string(rune(len(body)))+body)...))
}

func TestTheFunctionTakesThePlaceOfTheLastImport(t *testing.T) {
	linked, err := link(module("env:other", "millrun.simd:scan"), object("\x20\x00"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := structure.Parse(linked, structure.Limits{ModuleBytes: 1 << 20, BodyBytes: 100, Blocks: 9, Loops: 9, Nesting: 9, LoopNesting: 9, BrTable: 9, Locals: 9, TableSize: 9,
		Types: 9, TypeValues: 9, Params: 9, Imports: 9, Funcs: 9, Tables: 9, Globals: 9, Exports: 9, Segments: 9})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Imports) != 1 || m.Imports[0].Name != "other" || len(m.Funcs) != 2 {
		t.Fatalf("imports %v, %d functions", m.Imports, len(m.Funcs))
	}
	if got, _ := m.FuncType(1); got.Params != "\x7f" || got.Results != "\x7f" { // what the call goes to
		t.Errorf("function 1 is %s", got)
	}
	if !bytes.Contains(linked, []byte("\x04\x00\x20\x00\x0b\x07\x00\x41\x05\x10\x01\x1a\x0b")) {
		t.Errorf("bodies of %x", linked)
	}
}

func TestWhatCannotBeLinkedIsRefused(t *testing.T) {
	good := module("env:other", "millrun.simd:scan")
	for want, c := range map[string]struct{ module, object []byte }{
		"not the last import":     {module("millrun.simd:scan", "env:other"), object("\x20\x00")},
		"or not there":            {module("env:other"), object("\x20\x00")},
		"the instruction 0x10":    {good, object("\x20\x00\x10\x00")},
		"the instruction 0x23":    {good, object("\x23\x00")},
		"no module":               {[]byte("nothing"), object("\x20\x00")},
		"has a section 2":         {good, good},
		"declared otherwise than": {good, bytes.Replace(object("\x20\x00"), []byte("\x60\x01\x7f\x01\x7f"), []byte("\x60\x01\x7e\x01\x7e"), 1)},
	} {
		if _, err := link(c.module, c.object); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
