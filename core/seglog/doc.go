// Package seglog is one partition's log: a directory of segments in Kafka's own file formats, byte for byte.
//
//	<20-digit base offset>.log        record batches, one after the other, as they were received
//	<20-digit base offset>.index      8-byte entries: int32 last offset of a batch, relative to the base; int32 its position
//	<20-digit base offset>.timeindex  12-byte entries: int64 the largest timestamp so far; int32 last offset of its batch
//	<20-digit base offset>.snapshot   producers' state before that offset (written by the caller, see WriteSnapshot)
//	leader-epoch-checkpoint, partition.metadata (written by the caller, see WriteEpochs, WritePartitionMetadata)
//	*.deleted                         a file that waits to be removed
//
// # What is trusted
//
// Nothing that is read from a disk is believed because it is there. A batch's checksum leaves out its base offset, its
// length and its leader epoch, so batches are also checked as a chain: each begins at the offset at which the one before
// it ended, the first one of a segment at the offset in the file's name, the last one ends where the next segment begins
// (Config.Gaps loosens "at" to "at or after", for compacted topics); leader epochs must be those of Options.Epochs.
//
//   - After an unclean stop Open walks everything past the recovery point, and at least the last two batches, and checks
//     chain and checksums. What does not check out past the recovery point, with nothing valid behind it, is a torn tail
//     and is cut off; anything else is a [DamageError] and the files are left as they are.
//   - After a clean stop Open compares names and sizes with the [CloseMark] that Close returned, and opens no file. The
//     last batches are checked against the mark's checksum when the log is first used; a difference is a DamageError.
//   - Bytes that this process neither wrote nor checked are checked, checksums too, when they are first read. A range is
//     checked once: what rots afterwards under a running process is left to the reader's own CRC.
//   - An index entry counts only if the batch at its position ends at its offset. Any doubt, and the index is rebuilt
//     from the log. Both indexes may be deleted at any time while the log is closed.
//
// # Who may call what
//
// Append is for one goroutine at a time. Everything else may be called by any goroutine at any time.
package seglog
