// Package binary reads the structure of a WebAssembly module: enough to know what
// it imports and exports and to refuse, before a compiler sees it, what would cost
// too much to compile or what the compiler's own decoder would trust blindly.
//
//	module   "\0asm" 01 00 00 00 section*
//	section  u8 id | u32 size | content; ids rise (data count, 12, stands before
//	         code, 10); custom sections (0) may stand anywhere
//	body     u32 size | (u32 count, valtype)* locals | instruction* end
//
// Every count is checked against the bytes that are left by reading what it
// counts, so that a lying count costs nothing. Types are not checked: that is the
// compiler's validation. Instructions beyond WebAssembly 2.0 are refused, as a
// rewriter could not step over what it does not know.
package binary
