package replica

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// This file is what a partition keeps beside its log: whose log it is, its leader epochs, its producers. Epochs and
// producers can be made anew from the log, by a longer scan; so their files are written without a sync, except at a clean
// stop, and a file that is missing or misshapen is not an error.

// foreignError says that a directory holds the log of another topic with the same name: one that was deleted while this
// broker was away.
type foreignError struct {
	dir       string
	want, got string // topic ids
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s is of topic id %s, not %s", e.dir, e.got, e.want)
}

// checkIdentity compares the directory's topic id with the partition's. known is false if the directory does not say.
func (p *Partition) checkIdentity() (known bool, err error) {
	text, err := seglog.ReadPartitionMetadata(p.fs, p.dir)
	if isNotExist(err) {
		return false, nil
	}
	if err != nil && !errors.Is(err, seglog.ErrFormat) {
		return false, err
	}
	id, perr := meta.ParseTopicID(text)
	if err = errors.Join(err, perr); err != nil {
		// It was not synced yet when the power went: nothing in here was said to be durable.
		p.logger.Warn("partition's metadata is unreadable, writing it anew", "partition", p.name, "error", err)
		return false, nil
	}
	if differ := differingBits(id, p.topicID); differ > damagedBits {
		return false, &foreignError{p.dir, p.topicID.String(), text}
	} else if differ > 0 {
		p.logger.Warn("partition's topic id is damaged, writing it anew", "partition", p.name, "found", text)
		return false, nil
	}
	return true, nil
}

// damagedBits is in how many bits a topic's id may differ from what its file says and still be the same one, damaged: the
// file has no checksum, and of two random ids 61 bits differ.
const damagedBits = 12

func differingBits(a, b meta.TopicID) int {
	n := 0
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

func (p *Partition) writeIdentity() error {
	return seglog.WritePartitionMetadata(unsynced{p.fs}, p.dir, p.topicID.String())
}

// birth makes the directory, and says in it whose it is before there is anything else. mu held.
func (p *Partition) birth() error {
	if err := p.fs.MkdirAll(p.dir); err != nil {
		return err
	}
	if err := p.writeIdentity(); err != nil {
		return err
	}
	p.born = true
	return nil
}

// syncMetadata makes partition.metadata and the leader epochs durable, which has to be done once, before the first record
// is said to be. mu held.
func (p *Partition) syncMetadata() error {
	if p.metadataSynced || !p.born {
		return nil
	}
	err := syncFile(p.fs, join(p.dir, seglog.PartitionMetaFile))
	if err == nil {
		err = p.fs.SyncDir(p.dir)
	}
	p.metadataSynced = err == nil
	return err
}

// readEpochs reads leader-epoch-checkpoint. mu is not needed: nobody knows the partition yet.
func (p *Partition) readEpochs() error {
	list, err := seglog.ReadEpochs(p.fs, p.dir)
	switch {
	case isNotExist(err):
		return nil
	case errors.Is(err, seglog.ErrFormat):
		p.logger.Warn("leader epochs are unreadable, taking them from the log", "partition", p.name, "error", err)
		return nil
	case err != nil:
		return err
	}
	p.epochs.list = list
	return nil
}

// beginEpoch notes that from the log's end on records are of this epoch. mu held.
func (p *Partition) beginEpoch(epoch record.LeaderEpoch) {
	if p.log != nil && p.epochs.assign(epoch, p.log.EndOffset()) {
		p.epochsDirty = true
	}
}

// writeEpochs writes leader-epoch-checkpoint so that it survives this process. mu held.
func (p *Partition) writeEpochs() error {
	if err := seglog.WriteEpochs(unsynced{p.fs}, p.dir, p.epochs.list); err != nil {
		return fmt.Errorf("writing %s: %w", seglog.LeaderEpochFile, err)
	}
	p.epochsDirty, p.epochsUnsynced = false, true
	return nil
}

// saveEpochs makes leader-epoch-checkpoint durable. An epoch without records is left for the next leader to note. mu held.
func (p *Partition) saveEpochs() error {
	n := len(p.epochs.list)
	empty := n == 0 || n == 1 && p.epochs.list[0].Start == p.log.EndOffset()
	if empty || !p.epochsDirty && !p.epochsUnsynced {
		return nil
	}
	if err := seglog.WriteEpochs(p.fs, p.dir, p.epochs.list); err != nil {
		return fmt.Errorf("writing %s: %w", seglog.LeaderEpochFile, err)
	}
	p.epochsDirty, p.epochsUnsynced = false, false
	return nil
}

// recover brings epochs and producers to the end of a log that was not closed cleanly. Snapshots of offsets beyond the end
// are of records that are lost, and go.
func (p *Partition) recover(log *seglog.Log, found seglog.Recovered) error {
	snapshots, err := p.listSnapshots()
	if err != nil {
		return err
	}
	for _, at := range snapshots {
		if at > found.EndOffset {
			if err := p.removeSnapshot(at); err != nil {
				return err
			}
		}
	}
	if err := p.readSnapshot(snapshots, found.EndOffset); err != nil {
		return err
	}
	p.epochsDirty = p.epochs.truncate(found.EndOffset)
	from := min(p.producers.next, found.ScannedFrom)
	if n := len(p.epochs.list); n == 0 || p.epochs.list[0].Start > found.StartOffset {
		p.epochs.list, from = nil, 0 // the first ones are lost
	}
	next := p.producers.next
	err = log.Scan(from, func(b record.Batch) error {
		if b.BaseOffset() >= next {
			p.producers.replay(b, 0)
		}
		return p.replayEpoch(b)
	})
	if err != nil {
		return err
	}
	p.producers.next = found.EndOffset
	p.loaded = true
	return nil
}

// replayEpoch holds a batch's leader epoch against the epochs known, and adds it to them if it is a later one.
func (p *Partition) replayEpoch(b record.Batch) error {
	epoch, at := b.LeaderEpoch(), b.BaseOffset()
	if epoch < 0 {
		return nil // written by a broker that did not know better
	}
	if p.epochs.assign(epoch, at) {
		p.epochsDirty = true
		return nil
	}
	if want := p.epochs.at(at); want != epoch {
		return &seglog.DamageError{File: p.dir, Why: fmt.Sprintf("batch at offset %d is of leader epoch %d instead of %d", at, epoch, want)}
	}
	return nil
}

// loadProducers brings the producers' state to the log's end, from the newest snapshot on. After a clean stop that is one
// small file, read when the partition is first appended to. mu held.
func (p *Partition) loadProducers() error {
	if p.loaded {
		return nil
	}
	end := p.log.EndOffset()
	snapshots, err := p.listSnapshots()
	if err != nil {
		return err
	}
	if err := p.readSnapshot(snapshots, end); err != nil {
		return err
	}
	if from := p.producers.next; from < end {
		err := p.log.Scan(from, func(b record.Batch) error {
			if b.BaseOffset() >= from {
				p.producers.replay(b, 0)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	p.producers.next = end
	p.loaded = true
	return nil
}

// listSnapshots returns the offsets of the producer snapshots on disk, ascending.
func (p *Partition) listSnapshots() ([]record.Offset, error) {
	names, err := p.fs.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	var list []record.Offset
	for _, name := range names {
		if at, suffix, ok := seglog.ParseFileName(name); ok && suffix == seglog.SnapshotSuffix {
			list = append(list, at)
		}
	}
	slices.Sort(list)
	return list, nil
}

// readSnapshot makes the producers those of the newest sound snapshot that is not beyond end, and removes the others that
// are unsound. producers.next is then its offset, 0 if there is none.
func (p *Partition) readSnapshot(snapshots []record.Offset, end record.Offset) error {
	p.producers = producers{}
	for _, at := range slices.Backward(snapshots) {
		if at > end {
			continue
		}
		entries, err := seglog.ReadSnapshot(p.fs, p.dir, at)
		if err == nil {
			p.producers.load(entries, at)
			p.snapshotAt = at
			return nil
		}
		if !errors.Is(err, seglog.ErrFormat) && !isNotExist(err) {
			return err
		}
		p.logger.Warn("producer snapshot is unreadable, taking an older one", "partition", p.name, "error", err)
		if err := p.removeSnapshot(at); err != nil {
			return err
		}
	}
	return nil
}

func (p *Partition) removeSnapshot(at record.Offset) error {
	err := p.fs.Remove(join(p.dir, seglog.FileName(at, seglog.SnapshotSuffix)))
	if isNotExist(err) {
		return nil
	}
	return err
}

// saveProducers takes a snapshot of the producers' state before an offset, which must be the one that they are at. The
// one before it goes unless it belongs to a segment. mu held.
func (p *Partition) saveProducers(at record.Offset) error {
	if !p.loaded || at == p.snapshotAt || at == 0 {
		return nil
	}
	if err := seglog.WriteSnapshot(unsynced{p.fs}, p.dir, at, p.producers.entries()); err != nil {
		return fmt.Errorf("writing producer snapshot of offset %d: %w", at, err)
	}
	old := p.snapshotAt
	p.snapshotAt = at
	if old == record.NoOffset || slices.ContainsFunc(p.log.Segments(), func(s seglog.SegmentInfo) bool { return s.Base == old }) {
		return nil
	}
	return p.removeSnapshot(old)
}

// load makes the state that of a snapshot. A producer may be there several times, with its batches from the oldest on;
// whoever knows only one of them, as Kafka does, takes the last.
func (s *producers) load(entries []seglog.ProducerEntry, at record.Offset) {
	s.next = at
	s.byID = make(map[record.ProducerID]*producer, len(entries))
	for _, e := range entries {
		p := s.byID[e.ProducerID]
		if p == nil {
			p = &producer{epoch: e.Epoch}
			s.byID[e.ProducerID] = p
		}
		p.setEpoch(e.Epoch)
		p.coordinatorEpoch, p.timestamp = e.CoordinatorEpoch, e.Timestamp
		if e.LastSequence >= 0 {
			p.add(batchMeta{lastSequence: e.LastSequence, delta: e.OffsetDelta, last: e.LastOffset, timestamp: e.Timestamp})
		}
	}
}

// entries is the state as a snapshot has it, by ascending producer.
func (s *producers) entries() []seglog.ProducerEntry {
	list := make([]seglog.ProducerEntry, 0, len(s.byID))
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		p := s.byID[id]
		e := seglog.ProducerEntry{ProducerID: id, Epoch: p.epoch, LastSequence: noSequence, LastOffset: record.NoOffset,
			Timestamp: p.timestamp, CoordinatorEpoch: p.coordinatorEpoch, TxnFirstOffset: record.NoOffset}
		if p.n == 0 {
			list = append(list, e)
		}
		for _, b := range p.batches[:p.n] {
			e.LastSequence, e.LastOffset, e.OffsetDelta, e.Timestamp = b.lastSequence, b.last, b.delta, b.timestamp
			list = append(list, e)
		}
	}
	return list
}
