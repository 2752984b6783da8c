package meter

import (
	"math"

	structure "github.com/millrun/millrun/wasmhost/binary"
)

// plan is what one function is charged.
type plan struct {
	regions []int64 // units: the function outside of its loops, then each loop outside of loops within
	locals  uint32  // its own and parameters: the first index that the guest may not use
	calls   bool    // functions that have frames of their own
	lengths bool    // it has instructions that are charged by a length

	values, sets, joins int64 // what its frame may have to hold
}

// code rewrites the functions' bodies.
func (w *rewriter) code(dst []byte, r *structure.Reader) []byte {
	n := r.U32()
	bodies := make([][]byte, 0, min(n, uint32(len(w.m.Funcs))))
	for ; n > 0 && r.Err() == nil; n-- {
		bodies = append(bodies, r.Bytes(r.U32()))
	}
	w.leaf = make([]uint16, len(bodies))
	plans := make([]plan, len(bodies))
	for i := range bodies { // first, as calls of leaves are charged by what they cost
		plans[i] = w.plan(structure.NewReader(bodies[i]), i)
		if p := &plans[i]; len(p.regions) == 1 && !p.calls && !p.lengths && p.regions[0] <= leafUnits {
			w.leaf[i] = uint16(p.regions[0]) + 1
		}
	}
	dst = appendU32(dst, uint32(len(bodies)))
	var body []byte
	for i := range bodies {
		b := structure.NewReader(bodies[i])
		if plans[i].calls {
			plans[i] = w.plan(structure.NewReader(bodies[i]), i)
		}
		body = w.body(body[:0], b, &plans[i], w.leaf[i] > 0)
		if b.Err() != nil {
			r.Failf("function %d: %w", w.yield+uint32(i), b.Err())
			return dst
		}
		dst = appendBytes(dst, body)
	}
	return dst
}

// callee is what calling a function costs, and whether it has a frame that counts.
func (w *rewriter) callee(index int64) (units int64, frame bool) {
	if index < int64(w.yield) {
		return hostCall, false
	}
	if index -= int64(w.yield); index < int64(len(w.leaf)) && w.leaf[index] > 0 {
		return 2 + int64(w.leaf[index]), true
	}
	return 2, true
}

// passed is how many values a call or a block takes and leaves.
func (w *rewriter) passed(op int, n int64) int64 {
	var t structure.FuncType
	switch op {
	case opCall:
		t, _ = w.m.FuncType(uint32(n))
	case opCallIndirect, structure.OpBlock, structure.OpLoop, structure.OpIf:
		if n >= 0 && n < int64(len(w.m.Types)) {
			t = w.m.Types[n]
		}
	}
	return int64(len(t.Params) + len(t.Results))
}

// plan reads a body. Errors are left to body, which reads it again.
func (w *rewriter) plan(r *structure.Reader, index int) plan {
	p := plan{regions: []int64{1}, locals: uint32(len(w.m.Funcs[index].Params))}
	for n := r.U32(); n > 0 && r.Err() == nil; n-- {
		p.locals += r.U32()
		r.Byte()
	}
	open := []int{0} // the region of each open block
	for len(open) > 0 && r.Err() == nil {
		op, n := structure.Instruction(r, math.MaxInt32)
		region := open[len(open)-1]
		units := cost(op)
		p.values += min(units, 1) + w.passed(op, n)
		switch op {
		case structure.OpLoop:
			p.joins++
			open = append(open, len(p.regions))
			p.regions = append(p.regions, 1)
		case structure.OpBlock, structure.OpIf:
			p.joins++
			open = append(open, region)
		case structure.OpEnd:
			open = open[:len(open)-1]
		case opLocalSet, opLocalTee:
			p.sets++
		case opCall:
			called, frame := w.callee(n)
			units += called
			p.calls = p.calls || frame
		case opCallIndirect:
			p.calls = true
		}
		if _, ok := lengthShift(op); ok {
			p.lengths = true
		}
		p.regions[region] += units
	}
	return p
}

// entry is what calling the function costs. A frame holds locals and values between
// instructions, and where ways join it may hold each local once more.
func (p *plan) entry() int64 {
	if !p.calls {
		return p.regions[0]
	}
	return max(p.regions[0], int64(p.locals)+p.values+p.joins*min(int64(p.locals), p.sets))
}

// body copies a function and puts the counting in.
func (w *rewriter) body(dst []byte, r *structure.Reader, p *plan, leaf bool) []byte {
	groups, added := r.U32(), uint32(0)
	at := r.At()
	for n := groups; n > 0 && r.Err() == nil; n-- {
		r.U32()
		r.Byte()
	}
	kinds := r.From(at)
	c := counter{w: w, left: p.locals, length: p.locals + 1}
	switch {
	case leaf:
	case p.lengths:
		added = 2
	default:
		added = 1
	}
	dst = append(appendU32(dst, groups+added), kinds...)
	dst = append(dst, []byte{1, typeI64, 1, typeI32}[:2*added]...)
	if !leaf {
		dst = c.charge(dst, p.entry())
	}
	loops, copied := 0, r.At() // what comes before is in dst
	for r.Left() > 0 {
		before := r.At()
		op, n := structure.Instruction(r, math.MaxInt32)
		w.checkIndex(r, op, n, p)
		shift, lengths := lengthShift(op)
		switch {
		case op == structure.OpLoop:
			loops++
			dst = append(dst, r.From(copied)...)
			dst = c.charge(dst, p.regions[loops])
		case op == opCall || op == opRefFunc:
			dst = append(dst, r.From(copied)[:before-copied]...)
			dst = appendU32(append(dst, byte(op)), w.moved(uint32(n)))
		case lengths:
			dst = append(dst, r.From(copied)[:before-copied]...)
			dst = append(c.chargeLength(dst, shift), r.From(before)...)
		default:
			continue
		}
		copied = r.At()
	}
	return append(dst, r.From(copied)...)
}

// checkIndex refuses what would name something that the meter adds, the export of
// the start function among it.
func (w *rewriter) checkIndex(r *structure.Reader, op int, n int64, p *plan) {
	switch op {
	case opLocalGet, opLocalSet, opLocalTee:
		if n >= int64(p.locals) {
			r.Failf("local %d of %d", n, p.locals)
		}
	case opGlobalGet, opGlobalSet:
		w.checkGlobal(r, n)
	case opRefFunc:
		if n == w.start && !w.named {
			r.Failf("ref.func of function %d, which nothing declares", n)
		}
	case structure.OpBlock, structure.OpLoop, structure.OpIf, opCallIndirect:
		if n >= int64(len(w.m.Types)) {
			r.Failf("type %d of %d", n, len(w.m.Types))
		}
	}
}

// counter writes the instructions that count, with the locals they work in.
type counter struct {
	w            *rewriter
	left, length uint32
}

// charge takes units off the fuel.
func (c *counter) charge(dst []byte, units int64) []byte {
	dst = appendU32(append(dst, opGlobalGet), c.w.fuel)
	dst = appendS64(append(dst, opI64Const), units)
	return c.take(dst)
}

// chargeLength takes off what the operand on top asks for, and leaves it there.
func (c *counter) chargeLength(dst []byte, shift int) []byte {
	dst = appendU32(append(dst, opLocalTee), c.length)
	dst = appendU32(append(dst, opGlobalGet), c.w.fuel)
	dst = append(appendU32(append(dst, opLocalGet), c.length), opI64ExtendU)
	if shift < 0 {
		dst = append(dst, opI64Const, byte(-shift), opI64ShrU)
	} else {
		dst = append(dst, opI64Const, byte(shift), opI64Shl)
	}
	return c.take(dst)
}

// take subtracts the operand on top from the one below, the fuel, and yields if that
// was too much.
func (c *counter) take(dst []byte) []byte {
	dst = appendU32(append(dst, opI64Sub, opLocalTee), c.left)
	dst = appendU32(append(dst, opGlobalSet), c.w.fuel)
	dst = appendU32(append(dst, opLocalGet), c.left)
	dst = append(dst, opI64Const, 0, opI64LtS, structure.OpIf, blockEmpty)
	dst = appendU32(append(dst, opLocalGet), c.left)
	dst = appendU32(append(dst, opCall), c.w.yield)
	dst = appendU32(append(dst, opGlobalSet), c.w.fuel)
	return append(dst, structure.OpEnd)
}
