package binary

// element reads one element segment in any of its eight forms.
func element(r *Reader) {
	flag := r.U32()
	if flag > 7 {
		r.Failf("an element segment of form %d", flag)
		return
	}
	active := flag&1 == 0
	if active {
		if flag&2 != 0 {
			r.U32() // table
		}
		constant(r)
	}
	expressions := flag&4 != 0
	if flag&3 != 0 { // a passive, declared or explicit segment names its kind
		if expressions {
			referenceType(r)
		} else if kind := r.Byte(); kind != 0 {
			r.Failf("an element segment of kind %d", kind)
		}
	}
	for n := r.Count(r.Left(), "elements"); n > 0 && r.err == nil; n-- {
		if expressions {
			constant(r)
		} else {
			r.U32()
		}
	}
}

func data(r *Reader) {
	switch flag := r.U32(); flag {
	case 0:
		constant(r)
	case 1:
	case 2:
		r.U32()
		constant(r)
	default:
		r.Failf("a data segment of form %d", flag)
	}
	r.Bytes(r.U32())
}

// constant reads one constant expression: one instruction and end.
func constant(r *Reader) {
	switch op := r.Byte(); op {
	case 0x41:
		r.Sleb(32)
	case 0x42:
		r.Sleb(64)
	case 0x43:
		r.Bytes(4)
	case 0x44:
		r.Bytes(8)
	case 0x23, 0xd2:
		r.U32()
	case 0xd0:
		referenceType(r)
	case 0xfd:
		if sub := r.U32(); sub != 12 {
			r.Failf("instruction %#x %d in a constant", op, sub)
		}
		r.Bytes(16)
	default:
		r.Failf("instruction %#x in a constant", op)
	}
	if r.err == nil && r.Byte() != 0x0b {
		r.Failf("a constant of more than one instruction")
	}
}

// custom looks only at the name section: a decoder further on believes its counts.
func (p *parser) custom(content []byte, start, end int) error {
	r := Reader{b: content}
	name := r.Name()
	if r.err != nil {
		return r.err
	}
	if name != "name" {
		return nil
	}
	p.m.nameSections = append(p.m.nameSections, [2]int{start, end})
	if len(p.m.nameSections) > 1 || !cleanNames(&r) {
		p.m.CleanNames = false
	}
	return nil
}

// cleanNames reports whether the subsections follow each other without a gap and
// what they count is there.
func cleanNames(r *Reader) bool {
	for r.Left() > 0 && r.err == nil {
		id := r.Byte()
		sub := Reader{b: r.Bytes(r.U32())}
		switch id {
		case 0:
			sub.Name()
		case 1:
			nameMap(&sub)
		case 2:
			for n := sub.Count(sub.Left(), "functions"); n > 0 && sub.err == nil; n-- {
				sub.U32()
				nameMap(&sub)
			}
		default:
			sub.at = len(sub.b)
		}
		if sub.err != nil || sub.Left() > 0 {
			return false
		}
	}
	return r.err == nil
}

func nameMap(r *Reader) {
	for n := r.Count(r.Left(), "names"); n > 0 && r.err == nil; n-- {
		r.U32()
		r.Name()
	}
}
