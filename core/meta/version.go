package meta

import (
	"maps"
	"slices"
)

const (
	// maxHistory bounds the earlier versions that a deployment remembers.
	maxHistory = 10
	// maxHistoryBytes bounds what they take encoded, well below MaxCommandSize: the oldest are forgotten first.
	maxHistoryBytes = 256 << 10
)

// Version is an earlier version of a deployment: all that a new version may change, so that going back brings back what
// ran, and not only its module. Treat it as immutable.
type Version struct {
	Module          ModuleRef // with the version's number and time
	Restores        int32     // see Deployment
	TookOver        []PartitionOffset
	Inputs, Outputs []string
	Config          map[string]string
	Partition       string
	Guarantee       string
	OnError         string
	DLQ             string
	Retries         int32
	TimeoutMs       int64
	MemoryBytes     int64
	Members         int32
	CreateOutputs   bool
}

// Version returns the present version as the history would hold it. What it refers to is shared.
func (d *Deployment) Version() Version {
	return Version{
		Module: d.Module, Restores: d.Restores, TookOver: d.TookOver, Inputs: d.Inputs, Outputs: d.Outputs, Config: d.Config,
		Partition: d.Partition, Guarantee: d.Guarantee, OnError: d.OnError, DLQ: d.DLQ, Retries: d.Retries, TimeoutMs: d.TimeoutMs,
		MemoryBytes: d.MemoryBytes, Members: d.Members, CreateOutputs: d.CreateOutputs,
	}
}

// SetVersion gives the deployment a copy of what a version says, its number and origin included.
func (d *Deployment) SetVersion(v Version) {
	d.Module, d.Restores, d.TookOver = v.Module, v.Restores, slices.Clone(v.TookOver)
	d.Inputs, d.Outputs, d.Config = slices.Clone(v.Inputs), slices.Clone(v.Outputs), maps.Clone(v.Config)
	d.Partition, d.Guarantee, d.OnError, d.DLQ = v.Partition, v.Guarantee, v.OnError, v.DLQ
	d.Retries, d.TimeoutMs, d.MemoryBytes, d.Members = v.Retries, v.TimeoutMs, v.MemoryBytes, v.Members
	d.CreateOutputs = v.CreateOutputs
}

// Before returns the version that ran before the present one, and the number that it goes by: what a version restores
// counts as that, so that going back again goes further back. ok is false if there was none, or it is forgotten.
func (d *Deployment) Before() (v Version, number int32, ok bool) {
	for i := len(d.History) - 1; i >= 0; i-- {
		if h := d.History[i]; h.Module.Version < d.original() {
			if h.Restores != 0 {
				return h, h.Restores, true
			}
			return h, h.Module.Version, true
		}
	}
	return Version{}, 0, false
}

// original is the number of the version whose content the present one has.
func (d *Deployment) original() int32 {
	if d.Restores != 0 {
		return d.Restores
	}
	return d.Module.Version
}

// remember appends the version before to a history and forgets the oldest beyond the limits.
func remember(history []Version, v Version) []Version {
	history = append(slices.Clone(history), v)
	size, keep := 0, len(history)
	for keep > 0 && len(history)-keep < maxHistory {
		var w writer
		history[keep-1].encode(&w)
		if size += len(w.b); size > maxHistoryBytes {
			break
		}
		keep--
	}
	return history[keep:]
}

func (v *Version) encode(w *writer) {
	v.Module.encode(w)
	w.varint(int64(v.Restores))
	encodeOffsets(w, v.TookOver)
	w.strs(v.Inputs)
	w.strs(v.Outputs)
	w.strMap(v.Config)
	w.str(v.Partition)
	w.str(v.Guarantee)
	w.str(v.OnError)
	w.str(v.DLQ)
	w.varint(int64(v.Retries))
	w.varint(v.TimeoutMs)
	w.varint(v.MemoryBytes)
	w.varint(int64(v.Members))
	w.bool(v.CreateOutputs)
}

func decodeVersion(r *reader) Version {
	v := Version{Module: decodeModuleRef(r), Restores: r.int32(), TookOver: decodeOffsets(r)}
	v.Inputs, v.Outputs, v.Config = r.strs(), r.strs(), r.strMap()
	v.Partition, v.Guarantee, v.OnError, v.DLQ = r.str(), r.str(), r.str(), r.str()
	v.Retries, v.TimeoutMs, v.MemoryBytes, v.Members = r.int32(), r.varint(), r.varint(), r.int32()
	v.CreateOutputs = r.bool()
	return v
}

func encodeOffsets(w *writer, offsets []PartitionOffset) {
	w.uvarint(uint64(len(offsets)))
	for _, o := range offsets {
		w.str(o.Topic)
		w.varint(int64(o.Partition))
		w.varint(o.Offset)
	}
}

func decodeOffsets(r *reader) (offsets []PartitionOffset) {
	for range r.count(3) {
		offsets = append(offsets, PartitionOffset{Topic: r.str(), Partition: r.int32(), Offset: r.varint()})
	}
	return offsets
}
