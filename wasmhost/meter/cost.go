package meter

import structure "github.com/millrun/millrun/wasmhost/binary"

// Instructions that are looked for or put in.
const (
	opNop          = 0x01
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemoryGrow   = 0x40
	opI64Const     = 0x42
	opI64LtS       = 0x53
	opI64Sub       = 0x7d
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opRefFunc      = 0xd2
	opMemoryInit   = 0xfc<<8 | 8
	opMemoryCopy   = 0xfc<<8 | 10
	opMemoryFill   = 0xfc<<8 | 11
	opTableInit    = 0xfc<<8 | 12
	opTableCopy    = 0xfc<<8 | 14
	opTableGrow    = 0xfc<<8 | 15
	opTableFill    = 0xfc<<8 | 17

	blockEmpty = 0x40
)

// Units of what is not one.
const (
	hostCall  = 100 // out of the guest and back
	exitCall  = 64  // instructions that the runtime carries out outside of the guest
	bulkCall  = 16
	division  = 4
	leafUnits = 64 // at most, of a function that is charged to its callers
)

// cost is what an instruction is charged, calls of functions aside.
func cost(op int) int64 {
	switch {
	case op == structure.OpBlock, op == structure.OpLoop, op == structure.OpElse, op == structure.OpEnd, op == opNop, op == opDrop:
		return 0
	case op == opCallIndirect:
		return leafUnits + 2
	case op == opMemoryGrow, op == opTableGrow, op == opRefFunc:
		return exitCall
	case op == opMemoryInit, op == opMemoryCopy, op == opMemoryFill, op == opTableInit, op == opTableCopy, op == opTableFill:
		return bulkCall
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82, op == 0x91, op == 0x95, op == 0x9f, op == 0xa3:
		return division // and remainders, and square roots
	}
	return 1
}

// lengthShift tells whether an instruction works on as many things as the operand
// on top says, and how many units one is: 1<<shift.
func lengthShift(op int) (shift int, ok bool) {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		return -3, true
	case opTableInit, opTableCopy, opTableFill, opTableGrow:
		return 1, true
	case opMemoryGrow:
		return 10, true
	}
	return 0, false
}
