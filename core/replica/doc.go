// Package replica is a broker's partitions: each a log (seglog) with what Kafka knows beside it. A [Partition] checks
// batches, knows its idempotent producers and its leader epochs, and moves the high watermark; the [Store] holds all of
// them and is made to agree with the metadata.
//
//	produce ──► Append: check, number, one write ──► AckedNow / WaitAcked: disk, high watermark ──► answer
//	fetch   ──► ReadInto: whole batches as stored, up to the high watermark; a Watcher wakes who found too little
//	image   ──► Store.Reconcile(old, new): make, lead, follow, delete, set aside
//
// # A partition's directory
//
//	<offset>.log .index .timeindex   the log, see seglog
//	<offset>.snapshot                producers before that offset: taken when a segment is rolled and at a clean stop
//	leader-epoch-checkpoint          written before the first record of an epoch
//	partition.metadata               the topic's id: by it a directory is known to be of this topic, not of an older one
//
// Snapshots and epochs can be made anew from the log, by a scan of batch headers; they are written without a sync, and one
// that is missing or misshapen costs time, not data. A producer's last five batches are all in the snapshot, as entries of
// the same producer with the newest at the end: who knows one batch for each, as Kafka does, takes that one.
//
// # The data directory
//
//	.lock                                    one process at a time
//	meta.properties                          whose directory it is
//	recovery-point-offset-checkpoint, log-start-offset-checkpoint, replication-offset-checkpoint
//	                                         where each partition is; written once a minute, and at a clean stop
//	.kafka_cleanshutdown, clean-shutdown-marks
//	                                         the last stop was clean, and what each log looked like; gone once read
//	<topic>-<partition>.<id>-delete          deleted, to be removed
//	quarantine/                              directories that the metadata does not know
//
// # Non-obvious
//
//   - Nothing that the log holds is seen before it is committed. With flush.messages=1 that means on disk: the high
//     watermark then follows fsync, and those who wait for it share one.
//   - A partition that was never written to has no directory.
//   - After a clean stop no partition's files are opened, and its producers are read when it is first appended to.
//   - A partition that was damaged keeps its checkpoint entries, so that it is found damaged by the next start too.
//   - A topic made again under its old name must not meet the old one's entries in the checkpoint files: they are
//     rewritten first.
//   - A lock order: Store.checkpoint before Partition.mu before seglog's own. Watchers are woken under either or neither.
package replica
