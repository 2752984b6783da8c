package meter

import (
	structure "github.com/millrun/millrun/wasmhost/binary"
)

// A generator of modules that validate, do a bounded amount of work (loops count
// down, direct calls go to earlier functions, indirect ones use up a budget) and
// reach most kinds of instructions. What it makes is decided by bytes: 0 and the end
// mean the simplest.

const (
	tI32, tI64, tV128, tRef = 0x7f, 0x7e, 0x7b, 0x70
	hostImports             = 1 // env.h (i32) -> i32
	funcLocals              = 3 // of each of i32, i64, v128 and funcref, then loop counters
	maxLoops                = 6
)

// funcTypes are the types of a random module's functions: parameters, results.
var funcTypes = [...][2]string{{"", ""}, {"\x7f", "\x7f"}, {"\x7e\x7f", "\x7e"}, {"\x7f\x7f", "\x7f\x7e"}, {"\x7b", "\x7b"}, {"\x7f", "\x70"}}

// Globals: 0 i32, 1 i64, 2 the budget of indirect calls, 3 funcref.
const globalBudget = 2

type random struct {
	data []byte
	b    []byte // the body that is written

	self   int   // function
	types  []int // of all functions so far, the import first
	params string
	loops  int
	labels []bool // open blocks: may a branch go there
	left   int    // instructions that may still be made
}

func (g *random) next(n int) int {
	if len(g.data) == 0 {
		return 0
	}
	v := int(g.data[0])
	g.data = g.data[1:]
	return v % n
}

func (g *random) op(b ...byte) { g.b = append(g.b, b...) }

func sectionOf(id byte, content []byte) []byte { return appendBytes([]byte{id}, content) }

func vector(items ...[]byte) []byte {
	out := appendU32(nil, uint32(len(items)))
	for _, i := range items {
		out = append(out, i...)
	}
	return out
}

// randomModule makes a module; its functions are exported as "f1" and so on, its
// state as "m", "g0", "g1".
func randomModule(data []byte) []byte {
	g := &random{data: data, types: []int{1}}
	n := 1 + g.next(6)
	var types, functions, exports, bodies [][]byte
	for _, t := range funcTypes {
		types = append(types, appendName(appendName([]byte{0x60}, t[0]), t[1]))
	}
	for i := range n {
		t := g.next(len(funcTypes))
		g.self, g.params = hostImports+i, funcTypes[t][0]
		bodies = append(bodies, appendBytes(nil, g.function(funcTypes[t][1])))
		g.types = append(g.types, t)
		functions = append(functions, []byte{byte(t)})
		exports = append(exports, append(appendName(nil, "f"+string(rune('0'+g.self))), structure.KindFunc, byte(g.self)))
	}
	exports = append(exports, []byte("\x01m\x02\x00"), []byte("\x02g0\x03\x00"), []byte("\x02g1\x03\x01"))
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = append(out, sectionOf(idType, vector(types...))...)
	out = append(out, sectionOf(idImport, vector([]byte("\x03env\x01h\x00\x01")))...)
	out = append(out, sectionOf(idFunction, vector(functions...))...)
	out = append(out, sectionOf(idTable, []byte{1, 0x70, 1, 8, 16})...)
	out = append(out, sectionOf(idMemory, []byte{1, 1, 1, 3})...)
	last := byte(n)
	out = append(out, sectionOf(idGlobal, vector([]byte{0x7f, 1, 0x41, 5, 0x0b}, []byte{0x7e, 1, 0x42, 7, 0x0b}, []byte{0x7f, 1, 0x41, 20, 0x0b},
		[]byte{0x70, 1, 0xd2, last, 0x0b}))...)
	out = append(out, sectionOf(idExport, vector(exports...))...)
	for i, t := range g.types {
		if i > 0 && t == 0 && g.next(4) == 1 {
			out = append(out, sectionOf(idStart, []byte{byte(i)})...)
			break
		}
	}
	out = append(out, sectionOf(idElement, g.elements(n))...)
	out = append(out, sectionOf(idDataCount, []byte{2})...)
	out = append(out, sectionOf(idCode, vector(bodies...))...)
	return append(out, sectionOf(idData, []byte("\x02\x00\x41\x10\x0b\x04abcd\x01\x06passiv"))...)
}

// elements are the eight forms of segments; those that instructions use are the
// first, passive, of at least two entries.
func (g *random) elements(n int) []byte {
	f := func() byte { return byte(g.next(n + 1)) }
	at := func() byte { return byte(g.next(7)) }
	return vector(
		[]byte{1, 0, 2, f(), f()},
		[]byte{0, 0x41, at(), 0x0b, 1, f()},
		[]byte{2, 0, 0x41, at(), 0x0b, 0, 2, f(), f()},
		[]byte{3, 0, 1, f()},
		[]byte{4, 0x41, at(), 0x0b, 1, 0xd2, f(), 0x0b},
		[]byte{5, 0x70, 2, 0xd0, 0x70, 0x0b, 0xd2, f(), 0x0b},
		[]byte{6, 0, 0x41, at(), 0x0b, 0x70, 1, 0xd2, f(), 0x0b},
		[]byte{7, 0x70, 1, 0xd2, f(), 0x0b},
	)
}

// function makes a body: locals, statements, the results.
func (g *random) function(results string) []byte {
	g.b, g.loops, g.labels, g.left = nil, 0, []bool{results == ""}, 120
	for n := g.next(8); n > 0; n-- {
		g.statement(3)
	}
	for _, t := range []byte(results) {
		g.value(t, 3)
	}
	g.op(0x0b)
	locals := []byte{5, funcLocals, tI32, funcLocals, tI64, funcLocals, tV128, funcLocals, tRef, maxLoops, tI32}
	return append(locals, g.b...)
}

// local is a random local of a type; counters are no candidates.
func (g *random) local(t byte) byte {
	first := map[byte]int{tI32: 0, tI64: 1, tV128: 2, tRef: 3}[t] * funcLocals
	for i, p := range []byte(g.params) {
		if p == t && g.next(3) == 1 {
			return byte(i)
		}
	}
	return byte(len(g.params) + first + g.next(funcLocals))
}

func (g *random) counter() byte { return byte(len(g.params) + 4*funcLocals + g.loops) }

func (g *random) anyType() byte { return [...]byte{tI32, tI64, tV128, tRef}[g.next(4)] }

// block wraps what fill makes.
func (g *random) block(op, kind byte, branch bool, fill func()) {
	g.op(op, kind)
	g.labels = append(g.labels, branch)
	fill()
	g.labels = g.labels[:len(g.labels)-1]
	g.op(0x0b)
}

func (g *random) statement(depth int) {
	if g.left--; g.left < 0 || depth == 0 {
		return
	}
	switch g.next(18) {
	case 1:
		t := g.anyType()
		g.value(t, depth-1)
		g.op(0x21, g.local(t))
	case 2:
		g.value(tI32, depth-1)
		g.op(0x24, 0)
	case 3:
		g.value(tI64, depth-1)
		g.op(0x24, 1)
	case 4:
		g.address(depth - 1)
		g.value(tI64, depth-1)
		g.op(0x37, 0, 8)
	case 5:
		g.value(tI32, depth-1)
		g.block(structure.OpIf, blockEmpty, true, func() {
			g.statements(depth - 1)
			if g.next(2) == 1 {
				g.op(structure.OpElse)
				g.statements(depth - 1)
			}
		})
	case 6:
		g.block(structure.OpBlock, blockEmpty, true, func() { g.statements(depth - 1) })
	case 7, 8:
		g.loop(depth)
	case 9, 10:
		g.branch(depth)
	case 11, 12:
		g.bulk(depth)
	case 13:
		g.value(tRef, depth-1)
		g.op(0x24, 3)
	case 14:
		t := g.anyType()
		g.value(t, depth-1)
		g.op(0x1a)
	case 15:
		g.call(0, depth)
	case 16:
		g.value(tI32, depth-1)
		g.value(tRef, depth-1)
		g.op(0x26, 0)
	case 17:
		g.value(tI32, depth-1)
		g.block(structure.OpIf, blockEmpty, true, func() { g.op(0x00) })
	}
}

func (g *random) statements(depth int) {
	for n := 1 + g.next(3); n > 0; n-- {
		g.statement(depth)
	}
}

// loop runs what is in it up to four times.
func (g *random) loop(depth int) {
	if g.loops == maxLoops {
		return
	}
	c := g.counter()
	g.loops++
	g.op(0x41, byte(1+g.next(4)), 0x21, c)
	g.block(structure.OpLoop, blockEmpty, false, func() {
		g.statements(depth - 1)
		g.op(0x20, c, 0x41, 1, 0x6b, 0x22, c, 0x0d, 0)
	})
}

// branch leaves a block that yields nothing, if there is one.
func (g *random) branch(depth int) {
	for i, ok := range g.labels {
		if !ok || g.next(2) == 0 {
			continue
		}
		up := byte(len(g.labels) - 1 - i)
		g.value(tI32, depth-1)
		if g.next(3) > 0 {
			g.op(0x0d, up)
			return
		}
		g.block(structure.OpBlock, tI32, false, func() { // br_table takes the operand and never comes back
			g.value(tI32, depth-1)
			g.value(tI32, depth-1)
			g.op(structure.OpIf, blockEmpty, 0x41, 3, 0x0e, 1, up+2, up+2, 0x0b)
		})
		g.op(0x1a, 0x1a)
		return
	}
}

// bulk is one of the instructions that take a length.
func (g *random) bulk(depth int) {
	for range 3 {
		g.value(tI32, depth-1)
		if g.next(8) > 0 {
			g.op(0x41, 7, 0x71) // small: it mostly fits
		}
	}
	switch g.next(6) {
	case 0:
		g.op(0xfc, 10, 0, 0)
	case 1:
		g.op(0xfc, 11, 0)
	case 2:
		g.op(0xfc, 8, 1, 0)
	case 3:
		g.op(0xfc, 12, 0, 0)
	case 4:
		g.op(0xfc, 14, 0, 0)
	case 5:
		g.op(0x1a, 0x1a)
		g.value(tRef, depth-1)
		g.op(0x41, byte(g.next(4)), 0xfc, 17, 0)
	}
}

// call calls an earlier function of that type, if there is one, or any by the table;
// what it returns stays. It tells whether it did.
func (g *random) call(t, depth int) bool {
	args := func() {
		for _, p := range []byte(funcTypes[t][0]) {
			g.value(p, depth-1)
		}
	}
	if g.next(3) == 1 && t <= 1 { // while there is budget
		fails := byte(0x00)
		kind := byte(blockEmpty)
		if t == 1 {
			kind = tI32
		}
		g.op(0x23, globalBudget)
		g.block(structure.OpIf, kind, false, func() {
			g.op(0x23, globalBudget, 0x41, 1, 0x6b, 0x24, globalBudget)
			args()
			g.value(tI32, depth-1)
			g.op(0x41, 15, 0x71, opCallIndirect, byte(t), 0, structure.OpElse, fails)
		})
		return true
	}
	for i, other := range g.types {
		if other == t && g.next(2) == 1 {
			args()
			g.op(opCall, byte(i))
			return true
		}
	}
	return false
}

// address is a place in memory, mostly.
func (g *random) address(depth int) {
	g.value(tI32, depth)
	if g.next(16) > 0 {
		g.op(0x41, 0xff, 0xff, 3, 0x71) // & 0xffff
	}
}

// value leaves a value of that type.
func (g *random) value(t byte, depth int) {
	if g.left--; g.left < 0 || depth <= 0 {
		g.simple(t)
		return
	}
	switch t {
	case tI32:
		g.i32(depth - 1)
	case tI64:
		g.i64(depth - 1)
	case tV128:
		g.v128(depth - 1)
	default:
		g.ref(depth - 1)
	}
}

func (g *random) simple(t byte) {
	if g.next(2) == 1 {
		g.op(0x20, g.local(t))
		return
	}
	switch t {
	case tI32:
		g.op(0x41, byte(g.next(64)))
	case tI64:
		g.op(0x42, byte(g.next(128)))
	case tV128:
		g.op(0x41, byte(g.next(64)), 0xfd, 15)
	default:
		g.op(0xd0, 0x70)
	}
}

func (g *random) i32(depth int) {
	switch g.next(20) {
	case 1, 2, 3, 4:
		g.value(tI32, depth)
		g.value(tI32, depth)
		g.op(byte(0x6a + g.next(15))) // add, sub, mul, div, rem, and, or, xor, shifts, rotl
	case 5:
		g.address(depth)
		g.op(0x28, 2, 4)
	case 6:
		g.op(0x23, 0)
	case 7, 8:
		if !g.call(1, depth) {
			g.simple(tI32)
		}
	case 9:
		g.op(0x3f, 0)
	case 10:
		g.value(tI32, depth)
		g.op(0x41, byte(g.next(4)), 0x71, 0x40, 0)
	case 11:
		g.value(tRef, depth)
		g.op(0xd1)
	case 12:
		g.value(tI64, depth)
		g.op(0xa7)
	case 13:
		g.value(tV128, depth)
		g.op(0xfd, 27, byte(g.next(4)))
	case 14: // floats are only compared: a NaN's bits may differ
		g.value(tI32, depth)
		g.op(0xb7)
		g.value(tI64, depth)
		g.op(0xb9, 0x9f, 0xa3, 0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, byte(0x61+g.next(6)))
	case 15:
		g.value(tI32, depth)
		g.value(tI32, depth)
		g.value(tI32, depth)
		g.op(0x1b)
	case 16:
		g.block(structure.OpBlock, tI32, false, func() { g.statement(depth); g.value(tI32, depth); g.value(tI32, depth); g.op(0x0d, 0) })
	case 17:
		g.value(tI32, depth)
		g.block(structure.OpIf, tI32, false, func() { g.value(tI32, depth); g.op(structure.OpElse); g.value(tI32, depth) })
	case 18:
		g.op(0xfc, 16, 0)
	case 19:
		g.value(tRef, depth)
		g.op(0x41, byte(g.next(4)), 0xfc, 15, 0)
	default:
		g.simple(tI32)
	}
}

func (g *random) i64(depth int) {
	switch g.next(9) {
	case 1, 2:
		g.value(tI64, depth)
		g.value(tI64, depth)
		g.op(byte(0x7c + g.next(13)))
	case 3:
		g.address(depth)
		g.op(0x29, 3, 0)
	case 4:
		g.op(0x23, 1)
	case 5:
		if !g.call(2, depth) {
			g.simple(tI64)
		}
	case 6:
		if g.call(3, depth) { // i32 and i64: the i32 is below
			g.op(0x21, g.local(tI64), 0x1a, 0x20, g.local(tI64))
		} else {
			g.simple(tI64)
		}
	case 7:
		g.value(tI32, depth)
		g.op(0xac)
	case 8:
		g.value(tI64, depth)
		g.op(0x22, g.local(tI64))
	default:
		g.simple(tI64)
	}
}

func (g *random) v128(depth int) {
	switch g.next(7) {
	case 1:
		g.value(tV128, depth)
		g.value(tV128, depth)
		g.op(0xfd, 0xae, 1) // i32x4.add
	case 2:
		g.value(tV128, depth)
		g.value(tV128, depth)
		g.op(0xfd, 13, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31)
	case 3:
		g.address(depth)
		g.op(0xfd, 0, 4, 0)
	case 4:
		g.value(tI64, depth)
		g.op(0xfd, 18)
	case 5:
		if !g.call(4, depth) {
			g.simple(tV128)
		}
	case 6:
		g.op(0xfd, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
	default:
		g.simple(tV128)
	}
}

func (g *random) ref(depth int) {
	switch g.next(6) {
	case 1:
		g.op(0xd2, byte(g.next(g.self+1)))
	case 2:
		g.op(0x23, 3)
	case 3:
		g.value(tI32, depth)
		g.op(0x41, 7, 0x71, 0x25, 0)
	case 4:
		if !g.call(5, depth) {
			g.simple(tRef)
		}
	default:
		g.simple(tRef)
	}
}
