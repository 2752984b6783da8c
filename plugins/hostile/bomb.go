package hostile

import (
	"bytes"
	"encoding/binary"
)

// Kinds of CompileBomb: what is costly about them.
const (
	BombLoops   = "loops"   // 499 loops, that each of 999 locals may leave with another value: time
	BombBlocks  = "blocks"  // 3,400 blocks, 900 inside each other, with the same: time and memory
	BombTargets = "targets" // tables of 200 branches, into 900 blocks
)

// CompileBomb is a module that keeps to every structural limit and costs a compiler seconds for each of its functions,
// which have 30 to 125 KB; it would do nothing if it ran. Other kinds than those above are a mistake of the caller's.
func CompileBomb(kind string, functions int) []byte {
	var body []byte
	switch kind {
	case BombLoops:
		body = joins(999, 499, 60)
	case BombBlocks:
		body = joins(3400, 0, 900)
	case BombTargets:
		body = targets()
	default:
		panic("no compile bomb is called " + kind)
	}
	types := vector([]byte{0x60, 0, 0}, []byte{0x60, 1, i32, 1, i32}, []byte{0x60, 3, i32, i32, i32, 1, i32})
	return filterOf(types, body, functions)
}

// TypeBomb is a module of so many types with 1,000 parameters each, none of which it uses.
func TypeBomb(types int) []byte {
	all := [][]byte{{0x60, 0, 0}, {0x60, 1, i32, 1, i32}, {0x60, 3, i32, i32, i32, 1, i32}}
	for n := range types {
		t := leb([]byte{0x60}, 1000)
		for bit := range 1000 {
			t = append(t, i32-byte(n>>min(bit, 30)&1)) // i32 or i64: no two types are the same
		}
		all = append(all, append(t, 0))
	}
	return filterOf(vector(all...), nil, 0)
}

const i32 = 0x7f

// filterOf is a filter whose first three types are those of the marker, of millrun_alloc and of millrun_filter, with
// more functions of the second.
func filterOf(types, body []byte, functions int) []byte {
	declared := [][]byte{{0}, {1}, {2}}
	code := [][]byte{sized([]byte{0, 0x0b}), sized([]byte{0, 0x41, 16, 0x0b}), sized([]byte{0, 0x41, 16, 0x0b})}
	for range functions {
		declared, code = append(declared, []byte{1}), append(code, sized(body))
	}
	m := section([]byte("\x00asm\x01\x00\x00\x00"), 1, types)
	m = section(m, 3, vector(declared...))
	m = section(m, 5, []byte{1, 0, 2})
	m = section(m, 7, vector(
		export("memory", 2, 0), export("millrun_abi_v1", 0, 0), export("millrun_alloc", 0, 1), export("millrun_filter", 0, 2)))
	return section(m, 10, vector(code...))
}

// joins is a body of blocks, the first so many of them loops, in nests of that depth. Each changes three of the locals
// and may be left early, so that every local has many values where blocks end and loops begin.
func joins(blocks, loops, depth int) []byte {
	const locals = 999
	b := append(leb([]byte{1}, locals), i32)
	for n, open := 0, 0; n < blocks || open > 0; {
		if open == depth || n == blocks {
			b = append(b, bytes.Repeat([]byte{0x0b}, open)...)
			open = 0
			continue
		}
		op := byte(0x02) // block
		if n < loops {
			op = 0x03
		}
		b = append(b, op, 0x40)
		for k := 3 * n; k < 3*n+3; k++ {
			b = local(b, 0x20, 1+k%locals)
			b = append(local(b, 0x20, 1+(k+7)%locals), 0x6a) // i32.add
			b = local(b, 0x21, 1+(k*31+5)%locals)
		}
		b = append(local(b, 0x20, 1+(3*n+3)%locals), 0x0d) // br_if
		b = leb(b, open/2)
		n, open = n+1, open+1
	}
	return append(local(b, 0x20, 1), 0x0b)
}

// targets is a body of br_tables that branch into the same blocks.
func targets() []byte {
	const locals, depth, branches = 999, 900, 200
	b := append(leb([]byte{1}, locals), i32)
	b = append(b, bytes.Repeat([]byte{0x02, 0x40}, depth)...)
	for n := 0; len(b) < 120<<10; n++ {
		b = append(b, 0x02, 0x40)
		b = leb(append(local(b, 0x20, n%locals), 0x0e), branches)
		for target := range branches + 1 {
			b = leb(b, target)
		}
		b = append(b, 0x0b)
		b = local(local(b, 0x20, n%locals), 0x21, (n+1)%locals)
	}
	b = append(b, bytes.Repeat([]byte{0x0b}, depth)...)
	return append(local(b, 0x20, 1), 0x0b)
}

func leb(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)) }

func sized(b []byte) []byte { return append(leb(nil, len(b)), b...) }

func section(dst []byte, id byte, content []byte) []byte {
	return append(append(dst, id), sized(content)...)
}

func vector(items ...[]byte) []byte {
	b := leb(nil, len(items))
	for _, item := range items {
		b = append(b, item...)
	}
	return b
}

func export(name string, kind, index byte) []byte {
	return append(append(leb(nil, len(name)), name...), kind, index)
}

// local is an instruction on a local.
func local(dst []byte, op byte, index int) []byte { return leb(append(dst, op), index) }
