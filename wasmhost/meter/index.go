package meter

import (
	"strconv"

	structure "github.com/millrun/millrun/wasmhost/binary"
)

// The sections that name functions and globals, each read as it is written again.

// moved is a function's index in the rewritten module.
func (w *rewriter) moved(index uint32) uint32 {
	if index >= w.yield {
		return index + 1
	}
	return index
}

// declared is moved, for a place after which ref.func may name the function.
func (w *rewriter) declared(index uint32) uint32 {
	w.named = w.named || int64(index) == w.start
	return w.moved(index)
}

// more copies the count of a vector with n added to it, and what the vector holds.
func more(dst []byte, r *structure.Reader, n uint32) []byte {
	dst = appendU32(dst, r.U32()+n)
	return append(dst, r.Bytes(uint32(r.Left()))...)
}

func (w *rewriter) types(dst []byte, r *structure.Reader) []byte {
	return append(more(dst, r, 1), 0x60, 1, typeI64, 1, typeI64)
}

func (w *rewriter) imports(dst []byte, r *structure.Reader) []byte {
	for _, im := range w.m.Imports {
		if im.Module == ImportModule {
			r.Failf("imports %s.%s, which is the host's own", im.Module, im.Name)
		}
	}
	dst = appendName(appendName(more(dst, r, 1), ImportModule), ImportYield)
	return appendU32(append(dst, structure.KindFunc), uint32(len(w.m.Types)))
}

func (w *rewriter) globals(dst []byte, r *structure.Reader) []byte {
	n := r.U32()
	dst = appendU32(dst, n+1)
	for ; n > 0 && r.Err() == nil; n-- {
		dst = append(dst, r.Byte(), r.Byte()) // type, mutability
		dst = w.constant(dst, r)
	}
	return append(dst, typeI64, 1, opI64Const, 0, structure.OpEnd)
}

func (w *rewriter) exports(dst []byte, r *structure.Reader) []byte {
	n := r.U32()
	added := uint32(1)
	if w.start >= 0 {
		added = 2
	}
	dst = appendU32(dst, n+added)
	for ; n > 0 && r.Err() == nil; n-- {
		name, kind, index := r.Name(), r.Byte(), r.U32()
		if name == ExportFuel || name == ExportStart {
			r.Failf("exports %s, which is the host's own", name)
		}
		switch kind {
		case structure.KindFunc:
			index = w.declared(index)
		case structure.KindGlobal:
			w.checkGlobal(r, int64(index))
		}
		dst = appendU32(append(appendName(dst, name), kind), index)
	}
	dst = appendU32(append(appendName(dst, ExportFuel), structure.KindGlobal), w.fuel)
	if w.start >= 0 {
		if t, _ := w.m.FuncType(uint32(w.start)); t != (structure.FuncType{}) {
			r.Failf("its start function is %s, but must be () -> ()", t)
		}
		dst = appendU32(append(appendName(dst, ExportStart), structure.KindFunc), w.moved(uint32(w.start)))
	}
	return dst
}

// elements copies element segments in any of their eight forms.
func (w *rewriter) elements(dst []byte, r *structure.Reader) []byte {
	n := r.U32()
	dst = appendU32(dst, n)
	for ; n > 0 && r.Err() == nil; n-- {
		form := r.U32()
		dst = appendU32(dst, form)
		if form&1 == 0 {
			if form&2 != 0 {
				dst = appendU32(dst, r.U32()) // the table
			}
			dst = w.constant(dst, r)
		}
		if form&3 != 0 {
			dst = append(dst, r.Byte()) // what kind the elements are of
		}
		count := r.U32()
		dst = appendU32(dst, count)
		for ; count > 0 && r.Err() == nil; count-- {
			if form&4 != 0 {
				dst = w.constant(dst, r)
			} else {
				dst = appendU32(dst, w.declared(r.U32()))
			}
		}
	}
	return dst
}

// data copies data segments, whose offsets name no function but may name a global.
func (w *rewriter) data(dst []byte, r *structure.Reader) []byte {
	n := r.U32()
	dst = appendU32(dst, n)
	for ; n > 0 && r.Err() == nil; n-- {
		form := r.U32()
		dst = appendU32(dst, form)
		if form == 2 {
			dst = appendU32(dst, r.U32()) // the memory
		}
		if form != 1 {
			dst = w.constant(dst, r)
		}
		dst = appendBytes(dst, r.Bytes(r.U32()))
	}
	return dst
}

// constant copies a constant expression.
func (w *rewriter) constant(dst []byte, r *structure.Reader) []byte {
	for r.Err() == nil {
		at := r.At()
		op, n := structure.Instruction(r, 0)
		switch op {
		case opRefFunc:
			dst = appendU32(append(dst, opRefFunc), w.declared(uint32(n)))
			continue
		case opGlobalGet:
			w.checkGlobal(r, n)
		}
		dst = append(dst, r.From(at)...)
		if op == structure.OpEnd {
			break
		}
	}
	return dst
}

func (w *rewriter) checkGlobal(r *structure.Reader, index int64) {
	if index >= int64(w.fuel) {
		r.Failf("global %d of %d", index, w.fuel)
	}
}

// name is the name section with the functions' indexes moved; only the names of the
// module, its functions and their locals are kept.
func (w *rewriter) name() []byte {
	if !w.hasName {
		return w.numbered()
	}
	out := appendName(nil, "name")
	r := structure.NewReader(w.names)
	for r.Left() > 0 {
		id, content := r.Section()
		sub := structure.NewReader(content)
		switch id {
		case 0:
			out = appendBytes(append(out, id), content)
		case 1, 2:
			out = appendBytes(append(out, id), w.nameMap(nil, sub, id == 2))
		}
		if r.Err() != nil || sub.Err() != nil {
			return w.numbered() // names are no part of the program
		}
	}
	return out
}

// numbered is a name section that calls functions as the runtime does that have no
// names, but by the numbers that they have in the guest's own tools.
func (w *rewriter) numbered() []byte {
	names := appendU32(nil, uint32(len(w.m.Funcs)))
	for i := range w.m.Funcs {
		index := w.yield + uint32(i)
		names = appendName(appendU32(names, index+1), "$"+strconv.Itoa(int(index)))
	}
	return appendBytes(append(appendName(nil, "name"), 1), names)
}

// nameMap copies the names of functions, or of their locals.
func (w *rewriter) nameMap(dst []byte, r *structure.Reader, locals bool) []byte {
	n := r.U32()
	dst = appendU32(dst, n)
	for ; n > 0 && r.Err() == nil; n-- {
		dst = appendU32(dst, w.moved(r.U32()))
		at := r.At()
		if locals {
			for k := r.U32(); k > 0 && r.Err() == nil; k-- {
				r.U32()
				r.Name()
			}
		} else {
			r.Name()
		}
		dst = append(dst, r.From(at)...)
	}
	return dst
}
