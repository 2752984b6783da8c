package binary

// element reads one element segment in any of its eight forms.
func element(r *reader) {
	flag := r.u32()
	if flag > 7 {
		r.failf("an element segment of form %d", flag)
		return
	}
	active := flag&1 == 0
	if active {
		if flag&2 != 0 {
			r.u32() // table
		}
		constant(r)
	}
	expressions := flag&4 != 0
	if flag&3 != 0 { // a passive, declared or explicit segment names its kind
		if expressions {
			referenceType(r)
		} else if kind := r.byte(); kind != 0 {
			r.failf("an element segment of kind %d", kind)
		}
	}
	for n := r.count(r.left(), "elements"); n > 0 && r.err == nil; n-- {
		if expressions {
			constant(r)
		} else {
			r.u32()
		}
	}
}

func data(r *reader) {
	switch flag := r.u32(); flag {
	case 0:
		constant(r)
	case 1:
	case 2:
		r.u32()
		constant(r)
	default:
		r.failf("a data segment of form %d", flag)
	}
	r.bytes(r.u32())
}

// constant reads one constant expression: one instruction and end.
func constant(r *reader) {
	switch op := r.byte(); op {
	case 0x41:
		r.sleb(32)
	case 0x42:
		r.sleb(64)
	case 0x43:
		r.bytes(4)
	case 0x44:
		r.bytes(8)
	case 0x23, 0xd2:
		r.u32()
	case 0xd0:
		referenceType(r)
	case 0xfd:
		if sub := r.u32(); sub != 12 {
			r.failf("instruction %#x %d in a constant", op, sub)
		}
		r.bytes(16)
	default:
		r.failf("instruction %#x in a constant", op)
	}
	if r.err == nil && r.byte() != 0x0b {
		r.failf("a constant of more than one instruction")
	}
}

// custom looks only at the name section: a decoder further on believes its counts.
func (p *parser) custom(content []byte, start, end int) error {
	r := reader{b: content}
	name := r.name()
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
func cleanNames(r *reader) bool {
	for r.left() > 0 && r.err == nil {
		id := r.byte()
		sub := reader{b: r.bytes(r.u32())}
		switch id {
		case 0:
			sub.name()
		case 1:
			nameMap(&sub)
		case 2:
			for n := sub.count(sub.left(), "functions"); n > 0 && sub.err == nil; n-- {
				sub.u32()
				nameMap(&sub)
			}
		default:
			sub.at = len(sub.b)
		}
		if sub.err != nil || sub.left() > 0 {
			return false
		}
	}
	return r.err == nil
}

func nameMap(r *reader) {
	for n := r.count(r.left(), "names"); n > 0 && r.err == nil; n-- {
		r.u32()
		r.name()
	}
}
