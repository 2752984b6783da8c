package binary

import (
	"fmt"
	"strings"
)

// Kinds of imports and exports.
const (
	KindFunc   = 0
	KindTable  = 1
	KindMemory = 2
	KindGlobal = 3
)

// Limits are what a module may not exceed. All of them must be set.
type Limits struct {
	ModuleBytes int
	BodyBytes   int // of one function, its locals included
	Blocks      int // block, loop and if in one function
	Loops       int // in one function
	Nesting     int // of blocks
	LoopNesting int // loops inside loops
	BrTable     int // targets of one br_table
	Locals      int // of one function, without its parameters
	TableSize   int // entries of one table, for ever

	TypeValues int // parameters and results of all types together

	Types, Params, Imports, Funcs, Tables, Globals, Exports, Segments int
}

// FuncType is a function's type, its value types as they stand in the module.
type FuncType struct{ Params, Results string }

// String writes a type as "(i32, i32) -> i64".
func (t FuncType) String() string {
	results := names(t.Results)
	if len(t.Results) != 1 {
		results = "(" + results + ")"
	}
	return "(" + names(t.Params) + ") -> " + results
}

func names(types string) string {
	out := make([]string, len(types))
	for i := range types {
		switch types[i] {
		case 0x7f:
			out[i] = "i32"
		case 0x7e:
			out[i] = "i64"
		case 0x7d:
			out[i] = "f32"
		case 0x7c:
			out[i] = "f64"
		case 0x7b:
			out[i] = "v128"
		case 0x70:
			out[i] = "funcref"
		default:
			out[i] = "externref"
		}
	}
	return strings.Join(out, ", ")
}

// Import is one import; Type says what a function looks like.
type Import struct {
	Module, Name string
	Kind         byte
	Type         FuncType
}

// Export is one export; Index counts in the space of its kind, imports first.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// Range is a minimum and, if HasMax, a maximum: entries of a table, pages of a memory.
type Range struct {
	Min, Max uint32
	HasMax   bool
}

// Module is the structure of a module that is within its limits.
type Module struct {
	Types    []FuncType
	Imports  []Import
	Funcs    []FuncType // defined functions, in order
	Tables   []Range    // defined tables
	Memories []Range    // defined memories
	Globals  int
	Exports  []Export
	HasStart bool

	// CleanNames says that the name section, if there is one, is well-formed; a
	// module whose names are not has to lose them before it meets a decoder that
	// believes their counts.
	CleanNames bool

	nameSections [][2]int // where they start and end
	importedFunc []FuncType
	start        uint32
}

// FuncType is the type of the function with this index, imports counted first.
func (m *Module) FuncType(index uint32) (FuncType, bool) {
	if int64(index) < int64(len(m.importedFunc)) {
		return m.importedFunc[index], true
	}
	index -= uint32(len(m.importedFunc))
	if int64(index) < int64(len(m.Funcs)) {
		return m.Funcs[index], true
	}
	return FuncType{}, false
}

// ImportedFuncs is how many functions are imported: the index of the first that
// is not.
func (m *Module) ImportedFuncs() uint32 { return uint32(len(m.importedFunc)) }

// ImportedGlobals is how many globals are imported; m.Globals are the others.
func (m *Module) ImportedGlobals() int {
	n := 0
	for _, im := range m.Imports {
		if im.Kind == KindGlobal {
			n++
		}
	}
	return n
}

// Export finds an export by its name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// StripNames is the module without its name sections; b itself if it has none.
func (m *Module) StripNames(b []byte) []byte {
	if len(m.nameSections) == 0 {
		return b
	}
	var out []byte
	at := 0
	for _, s := range m.nameSections {
		out = append(out, b[at:s[0]]...)
		at = s[1]
	}
	return append(out, b[at:]...)
}

// Parse reads a module's structure and holds it to limits. An error says what is
// wrong and where.
func Parse(b []byte, l Limits) (*Module, error) {
	if len(b) > l.ModuleBytes {
		return nil, fmt.Errorf("the module has %d bytes, at most %d are allowed", len(b), l.ModuleBytes)
	}
	if len(b) < 8 || string(b[:4]) != "\x00asm" {
		return nil, fmt.Errorf("this is no WebAssembly module: it does not start with \"\\0asm\"")
	}
	if string(b[4:8]) != "\x01\x00\x00\x00" {
		return nil, fmt.Errorf("WebAssembly version %#x: only core modules of version 1 are run, no components", b[4:8])
	}
	p := parser{limits: l, m: &Module{CleanNames: true}}
	if err := p.sections(b); err != nil {
		return nil, err
	}
	return p.m, nil
}
