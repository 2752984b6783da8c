// Package quorum is the metadata log: an append-only stream of commands (package meta) in an embedded nats-server with
// JetStream, in this process and behind no port; and the store of Wasm modules beside it.
//
// # The log
//
// Every message of the stream META is one command, or a batch of them, and has the form
//
//	uint8     format (1)
//	32 bytes  chain value of the message before it
//	          the command, as meta.AppendCommand writes it
//
// The chain value of a message is SHA-256(chain value before, sequence as 8 bytes big-endian, command); before the first
// message it is zero. So a message that was changed, lost or put in another's place is found by whoever replays.
//
// [Log.Change] decides on the newest image, and appends expecting the sequence that it decided on. While one append is on its
// way to the disk, further changes are decided on its outcome and gathered into one batch, which is appended next: they
// share an fsync, and an append is never predicted on another that may fail. If another broker was faster, everything is
// decided again on what came of that.
//
// One goroutine applies messages in order: those that the stream republishes as they are committed, and, where one is
// missing, those it reads from the stream. After each it calls the reconciler ([Log.Follow]), then publishes the image,
// then lets the Change return.
//
// # The folder
//
//	<dir>/meta/solo/jetstream/   JetStream's
//	<dir>/meta/solo/snapshots/   the two newest snapshots of the image, <sequence>.snapshot
//	<dir>/meta/solo/tail         the last sequence known to be on disk, and its chain value
//
// The stream is purged up to the older snapshot, so that the newer one can be lost. The tail is no part of recovery: it
// tells a log whose end is missing from one that is whole. A folder that has held a log, and does not hold it now, is an
// error; it is never taken for a new cluster.
package quorum
