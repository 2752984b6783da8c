// Package meta is the cluster as a pure state machine: the vocabulary (topics, brokers, deployments), the immutable
// [Image] of everything that is known at one sequence number, the commands that change it, the decisions that make
// commands, and the snapshot of an image.
//
// Two kinds of function work on images, and they are never mixed:
//
//   - Decide functions read an image and answer with a [Command] or with an error that says why not. They change
//     nothing. A nil Command without an error means that there is nothing to do; it is always an untyped nil.
//   - [Apply] is the only thing that makes a new image. It is deterministic: every broker that applies the same
//     commands in the same order holds the same image, byte for byte ([Image.Hash] compares them).
//
// A command carries everything that was decided (ids, replica placement, times): Apply has no clock, no randomness,
// and depends on no map order. The package does no I/O, starts no goroutine and takes no lock; a test checks that.
//
// # Encoding
//
// A command in the log is
//
//	uint8   format (1)
//	uvarint kind      which command; numbers are never reused
//	uvarint version   of this kind's body; fields are only ever appended by a new version
//	        body
//
// A binary reads every version up to its own. A kind or version that it does not know is [ErrUnknownCommand]: the broker
// has to stop, because an image without that command would differ from everybody else's.
//
// In bodies, integers are varints (zigzag if signed), strings and lists are preceded by their uvarint length, maps are
// written in ascending key order. [Image.AppendSnapshot] describes the snapshot.
package meta
