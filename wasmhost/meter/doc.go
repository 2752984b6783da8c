// Package meter rewrites a module so that it counts what it does and asks its host
// whether it may go on: code that is not interrupted by anybody stops by itself.
//
//	imports   after the last function: millrun.meter.yield (left i64) -> i64
//	globals   after the last: the fuel, a mutable i64 that starts at 0
//	exports   the fuel, and the start function: the host runs it, as any other
//	code      fuel -= units; if fuel < 0 { fuel = yield(fuel) }
//	          at the entry of a function, at the head of a loop, and before an
//	          instruction whose work depends on a length
//
// The yield is the last of the imported functions, so the index of every function
// that the module defines moves by one: in calls, ref.func, element segments,
// exports and names. Nothing that the guest wrote can name the yield, the fuel, or
// the locals that the counting needs; what it says of an index that its module does
// not have is refused here, as it might have a meaning afterwards.
//
// What is charged, in units of about one simple instruction (cost.go):
//
//   - a function's entry: all its instructions outside of loops, or the values
//     that its frame may have to hold, whichever is more;
//   - a loop's head: all instructions of the loop outside of loops within it;
//   - memory.copy, fill and init: a unit for 8 bytes; table.copy, fill, init and
//     grow: two for an entry; memory.grow: 1,024 for a page;
//   - a short function that calls nothing and does not loop is charged to whoever
//     calls it and counts nothing itself.
//
// An instruction runs at most once between two passes of the head or entry that it
// is charged to, so nothing runs that was not paid for, and since instructions that
// a branch steps over are paid for too, units are an upper bound. As a frame is paid
// for at entry, the stack grows by a bounded amount between two yields; StackBytes
// is how large it really is.
package meter
