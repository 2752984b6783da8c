// Package machine drives a replicated state machine over one partition.
//
// A [Shard] is the machine: single-threaded, without I/O, clock or lock. It decides an operation by looking at its state,
// and what it wants done comes back as [Effects]: records for the partition and answers to requests. A [Loop] is the
// driver: one goroutine that owns the shard, appends its records to a [Log] and lets the answers out.
//
//	request --> Decide --> records --> Replay (same code as recovery) --> Append --> committed --> answer
//	timer   --> Wake   -->    "
//
// # Non-obvious
//
//   - Replay comes before Append, so that operations which are queued together see each other and share one append. If
//     the append fails, the shard, which by then knows more than the log, is thrown away and loaded again from the log.
//   - An answer waits for every record that was appended before it, not only for its own: what one client was told, the
//     log holds, and a read never shows what a crash could take back.
//   - A shard's durable state is changed by Replay alone. What Decide and Wake may change besides is volatile: what a
//     restart may forget (who waits, deadlines, members that have not been written yet).
//   - Until its partition is compacted by a cleaner, a loop keeps the log short itself: when the log holds many times
//     the records of the state, the state is appended again in full and the log is trimmed in front of it.
package machine
