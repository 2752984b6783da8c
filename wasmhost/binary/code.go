package binary

import "fmt"

// Instructions that the structure of a body hangs on. Those of two bytes are
// numbered prefix<<8 | second.
const (
	OpBlock     = 0x02
	OpLoop      = 0x03
	OpIf        = 0x04
	OpElse      = 0x05
	OpEnd       = 0x0b
	opBrTable   = 0x0e
	opTableGrow = 0xfc<<8 | 15
)

// body holds one function to its limits.
func (p *parser) body(b []byte) error {
	r := Reader{b: b}
	p.locals(&r)
	var (
		blocks, loops int
		open          = []bool{false} // per open block: is it a loop
		openLoops     int
	)
	for len(open) > 0 && r.err == nil {
		at := r.at
		op, n := Instruction(&r, p.limits.BrTable)
		switch op {
		case OpBlock, OpLoop, OpIf:
			loop := op == OpLoop
			blocks++
			if loop {
				loops++
				openLoops++
			}
			open = append(open, loop)
			r.Fail(p.structure(blocks, loops, len(open)-1, openLoops))
		case OpEnd:
			if open[len(open)-1] {
				openLoops--
			}
			open = open[:len(open)-1]
		case opTableGrow:
			if n >= int64(len(p.growable)) || !p.growable[n] {
				r.Failf("table.grow on table %d, which has no maximum of at most %d entries", n, p.limits.TableSize)
			}
		}
		if r.err != nil {
			return fmt.Errorf("byte %d of its body: %w", at, r.err)
		}
	}
	if r.err == nil && r.Left() > 0 {
		return fmt.Errorf("%d bytes after the end of its body", r.Left())
	}
	return r.err
}

func (p *parser) structure(blocks, loops, nesting, loopNesting int) error {
	for _, c := range [...]struct {
		n, limit int
		what     string
	}{
		{blocks, p.limits.Blocks, "blocks"},
		{loops, p.limits.Loops, "loops"},
		{nesting, p.limits.Nesting, "blocks inside each other"},
		{loopNesting, p.limits.LoopNesting, "loops inside each other"},
	} {
		if c.n > c.limit {
			return fmt.Errorf("more than %d %s", c.limit, c.what)
		}
	}
	return nil
}

func (p *parser) locals(r *Reader) {
	total := uint64(0)
	for n := r.Count(p.limits.Locals, "groups of locals"); n > 0 && r.err == nil; n-- {
		total += uint64(r.U32())
		valueType(r)
	}
	if total > uint64(p.limits.Locals) {
		r.Failf("%d locals, at most %d are allowed", total, p.limits.Locals)
	}
}

// Instruction reads one instruction with its immediates; one that is not of
// WebAssembly 2.0 fails, as does a br_table of more targets than brTable. Those of
// two bytes are numbered prefix<<8 | second. n is the first immediate where that is
// an index, and a block's type: the index of a type, or negative.
func Instruction(r *Reader, brTable int) (op int, n int64) {
	op = int(r.Byte())
	switch {
	case op == OpBlock || op == OpLoop || op == OpIf:
		n = r.Sleb(33)
	case op <= 0x01 || op == OpElse || op == OpEnd || op == 0x0f || op == 0x1a || op == 0x1b || op == 0xd1 || op >= 0x45 && op <= 0xc4:
		// no immediate
	case op == 0x0c || op == 0x0d || op == 0x10 || op >= 0x20 && op <= 0x26 || op == 0xd2:
		n = int64(r.U32())
	case op >= 0x28 && op <= 0x3e || op == 0x11:
		n = int64(r.U32())
		r.U32()
	case op == opBrTable:
		for targets := r.Count(brTable, "targets of br_table"); targets > 0 && r.err == nil; targets-- {
			r.U32()
		}
		n = int64(r.U32())
	case op == 0x1c:
		for types := r.Count(1, "types of select"); types > 0 && r.err == nil; types-- {
			valueType(r)
		}
	case op == 0x3f || op == 0x40:
		r.Byte()
	case op == 0x41:
		r.Sleb(32)
	case op == 0x42:
		r.Sleb(64)
	case op == 0x43:
		r.Bytes(4)
	case op == 0x44:
		r.Bytes(8)
	case op == 0xd0:
		referenceType(r)
	case op == 0xfc:
		return bulk(r)
	case op == 0xfd:
		return vector(r)
	default:
		r.Failf("instruction %#x is not of WebAssembly 2.0", op)
	}
	return op, n
}

// bulk reads what follows 0xfc: saturating conversions, bulk memory, tables.
func bulk(r *Reader) (op int, n int64) {
	sub := r.U32()
	switch {
	case sub <= 7:
	case sub == 11:
		r.Byte()
	case sub == 9 || sub == 13 || sub >= 15 && sub <= 17:
		n = int64(r.U32())
	case sub == 8:
		n = int64(r.U32())
		r.Byte()
	case sub == 10:
		r.Bytes(2)
	case sub == 12 || sub == 14:
		n = int64(r.U32())
		r.U32()
	default:
		r.Failf("instruction 0xfc %d is not of WebAssembly 2.0", sub)
		return 0, 0
	}
	return 0xfc<<8 | int(sub), n
}

// vector reads what follows 0xfd: the 128-bit instructions.
func vector(r *Reader) (op int, n int64) {
	sub := r.U32()
	switch {
	case sub <= 11 || sub == 92 || sub == 93:
		r.U32()
		r.U32()
	case sub == 12 || sub == 13:
		r.Bytes(16)
	case sub >= 21 && sub <= 34:
		r.Byte()
	case sub >= 84 && sub <= 91:
		r.U32()
		r.U32()
		r.Byte()
	case sub <= 255:
	default:
		r.Failf("instruction 0xfd %d is not of WebAssembly 2.0", sub)
		return 0, 0
	}
	return 0xfd<<8 | int(sub), 0
}
