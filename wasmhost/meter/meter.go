package meter

import (
	"encoding/binary"
	"fmt"

	structure "github.com/millrun/millrun/wasmhost/binary"
)

// Names that belong to the meter. A module that uses one of them is refused.
const (
	ImportModule = "millrun.meter"
	ImportYield  = "yield"               // (left i64) -> i64: below 0 what is left, and the new fuel
	ExportFuel   = "millrun.meter.fuel"  // mutable i64
	ExportStart  = "millrun.meter.start" // () -> (), if the module has a start function: to be called once
)

const (
	idCustom = iota
	idType
	idImport
	idFunction
	idTable
	idMemory
	idGlobal
	idExport
	idStart
	idElement
	idCode
	idData
	idDataCount
	sections
)

const (
	typeI32 = 0x7f
	typeI64 = 0x7e
)

// rewriter holds a module's sections and the indexes of what is added.
type rewriter struct {
	m       *structure.Module
	content [sections][]byte
	present [sections]bool
	names   []byte // of the name section, without its name
	hasName bool

	yield uint32   // the function: the first index that moves
	fuel  uint32   // the global: the first index that the guest may not use
	start int64    // the start function before it moved, or -1
	named bool     // it is exported, or an element, or a global's value: then ref.func may name it
	leaf  []uint16 // by defined function: 1 and what it costs, if it is charged to its callers; 0 for others
}

// Rewrite is the metered form of wasm, whose structure m is. Custom sections other
// than names are dropped. An error is a reason without the module's name.
func Rewrite(m *structure.Module, wasm []byte) ([]byte, error) {
	w := rewriter{m: m, yield: m.ImportedFuncs(), fuel: uint32(m.ImportedGlobals() + m.Globals), start: -1}
	r := structure.NewReader(wasm[8:])
	for r.Left() > 0 {
		id, content := r.Section()
		if r.Err() != nil || id >= sections {
			return nil, fmt.Errorf("section %d: %w", id, r.Err())
		}
		if id == idCustom {
			w.custom(content)
			continue
		}
		w.content[id], w.present[id] = content, true
		if id == idStart {
			w.start = int64(structure.NewReader(content).U32())
		}
	}
	return w.module(wasm[:8])
}

func (w *rewriter) custom(content []byte) {
	r := structure.NewReader(content)
	if r.Name() == "name" && r.Err() == nil {
		w.names, w.hasName = r.Bytes(uint32(r.Left())), true
	}
}

// module puts the sections together again, in their order.
func (w *rewriter) module(head []byte) ([]byte, error) {
	out := append(make([]byte, 0, len(head)+2*len(w.content[idCode])+len(w.content[idData])), head...)
	for _, s := range [...]struct {
		id      byte
		rewrite func(dst []byte, r *structure.Reader) []byte // nil: as it is
		always  bool
	}{
		{idType, w.types, true},
		{idImport, w.imports, true},
		{idFunction, nil, false},
		{idTable, nil, false},
		{idMemory, nil, false},
		{idGlobal, w.globals, true},
		{idExport, w.exports, true},
		{idElement, w.elements, false},
		{idDataCount, nil, false},
		{idCode, w.code, false},
		{idData, w.data, false},
	} {
		content := w.content[s.id]
		if !w.present[s.id] {
			if !s.always {
				continue
			}
			content = []byte{0}
		}
		if s.rewrite != nil {
			r := structure.NewReader(content)
			content = s.rewrite(make([]byte, 0, len(content)+64), r)
			if r.Err() != nil {
				return nil, r.Err()
			}
		}
		out = appendBytes(append(out, s.id), content)
	}
	return appendBytes(append(out, idCustom), w.name()), nil
}

func appendU32(dst []byte, n uint32) []byte { return binary.AppendUvarint(dst, uint64(n)) }

func appendBytes(dst, b []byte) []byte { return append(appendU32(dst, uint32(len(b))), b...) }

func appendName(dst []byte, name string) []byte {
	return append(appendU32(dst, uint32(len(name))), name...)
}

// appendS64 appends a signed number in LEB128, which is not Go's varint.
func appendS64(dst []byte, n int64) []byte {
	for n < -0x40 || n >= 0x40 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n)&0x7f)
}
