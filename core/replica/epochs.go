package replica

import (
	"slices"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// EpochEnd says where a leader epoch ends: the offset after its last record.
type EpochEnd struct {
	Epoch record.LeaderEpoch
	End   record.Offset
}

// epochHistory is the partition's leaders over its offsets. Invariants: epochs rise strictly, starts rise strictly.
// Guarded by the partition's mu.
type epochHistory struct{ list []seglog.EpochEntry }

// assign notes that epoch begins at start. Epochs that would begin at or after it never had a record, and go. It returns
// whether anything changed.
func (h *epochHistory) assign(epoch record.LeaderEpoch, start record.Offset) bool {
	if n := len(h.list); n > 0 && h.list[n-1].Epoch >= epoch {
		return false
	}
	h.truncate(start)
	h.list = append(h.list, seglog.EpochEntry{Epoch: epoch, Start: start})
	return true
}

// truncate removes what begins at or after end, as the log is cut off there. It returns whether anything changed.
func (h *epochHistory) truncate(end record.Offset) bool {
	i, _ := slices.BinarySearchFunc(h.list, end, func(e seglog.EpochEntry, o record.Offset) int { return compare(e.Start, o) })
	changed := i < len(h.list)
	h.list = h.list[:i]
	return changed
}

// advance forgets the epochs that end at or before base, where the log's first segment now begins. The first one left may
// begin before base.
func (h *epochHistory) advance(base record.Offset) bool {
	i, found := slices.BinarySearchFunc(h.list, base, func(e seglog.EpochEntry, o record.Offset) int { return compare(e.Start, o) })
	if !found {
		i--
	}
	if i <= 0 {
		return false
	}
	h.list = slices.Clone(h.list[i:])
	return true
}

// endOf answers OffsetForLeaderEpoch as Kafka does: the largest epoch that is not beyond the asked one, and where it ends.
// end is the log's end.
func (h *epochHistory) endOf(epoch record.LeaderEpoch, end record.Offset) (EpochEnd, bool) {
	n := len(h.list)
	if epoch < 0 || n == 0 || h.list[n-1].Epoch < epoch {
		return EpochEnd{record.NoLeaderEpoch, record.NoOffset}, false
	}
	if h.list[n-1].Epoch == epoch {
		return EpochEnd{epoch, end}, true
	}
	i, found := slices.BinarySearchFunc(h.list, epoch, func(e seglog.EpochEntry, at record.LeaderEpoch) int { return compare(e.Epoch, at) })
	switch {
	case found:
		return EpochEnd{epoch, h.list[i+1].Start}, true
	case i == 0: // every epoch known is later: this one ended where they begin
		return EpochEnd{epoch, h.list[0].Start}, true
	}
	return EpochEnd{h.list[i-1].Epoch, h.list[i].Start}, true
}

// at returns the epoch of the record at an offset.
func (h *epochHistory) at(offset record.Offset) record.LeaderEpoch {
	i, found := slices.BinarySearchFunc(h.list, offset, func(e seglog.EpochEntry, o record.Offset) int { return compare(e.Start, o) })
	if !found {
		i--
	}
	if i < 0 {
		return record.NoLeaderEpoch
	}
	return h.list[i].Epoch
}

func compare[T ~int64 | ~int32](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
