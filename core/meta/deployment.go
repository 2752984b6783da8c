package meta

import (
	"maps"
	"slices"
)

// DeploymentState is what a deployment is meant to be doing. That its members are still starting is not stored.
type DeploymentState string

const (
	DeploymentRunning DeploymentState = "running"
	DeploymentPaused  DeploymentState = "paused"  // by a person: the members have left, offsets stay
	DeploymentStopped DeploymentState = "stopped" // by its error policy, see Reason
	DeploymentFailed  DeploymentState = "failed"  // it cannot start, see Reason
)

// ModuleRef names the bytes of a module.
type ModuleRef struct {
	Name       string // the file's or the shipped module's name
	SHA256     string // lower-case hexadecimal; the key in the module store
	Version    int32  // counts the deployment's versions from 1, whatever changed; set by DecidePutDeployment
	Size       int64
	DeployedMs int64 // when this version was put; given by the caller
}

// PartitionOffset is where a deployment begins in one partition of its inputs.
type PartitionOffset struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Deployment is a Wasm consumer: a module and its settings. Treat it as immutable. Words and defaults are those of the
// deploy verb; every field is as resolved by whoever deploys, nothing here has a default.
type Deployment struct {
	Name, Group     string
	Inputs, Outputs []string
	Config          map[string]string
	From            string            // as it was asked for: earliest, latest, @ms
	FromOffsets     []PartitionOffset // what From came to, for the partitions that existed
	// FromTopics are the topics that FromOffsets are about, by name: an offset means nothing in one that has taken the name
	// since. A name that is missing stands for whatever has it.
	FromTopics    map[string]TopicID
	Partition     string // same, key
	Guarantee     string // at-least-once, exactly-once
	OnError       string // stop, skip, dlq
	DLQ           string
	Retries       int32
	TimeoutMs     int64
	MemoryBytes   int64
	Members       int32
	CreateOutputs bool
	Module        ModuleRef
	Restores      int32             // the version whose module and settings this one brings back; 0 if it is new
	TookOver      []PartitionOffset // where this version began
	History       []Version         // the versions before this one, oldest first, at most ten
	State         DeploymentState
	Reason        string // never empty when stopped or failed
	CreatedMs     int64
	CreatedSeq    uint64 // the sequence that created it: tells apart two deployments of one name; set by Apply
	ChangedSeq    uint64 // the sequence that changed it last; set by Apply
}

func (m *ModuleRef) encode(w *writer) {
	w.str(m.Name)
	w.str(m.SHA256)
	w.varint(int64(m.Version))
	w.varint(m.Size)
	w.varint(m.DeployedMs)
}

func decodeModuleRef(r *reader) ModuleRef {
	return ModuleRef{Name: r.str(), SHA256: r.str(), Version: r.int32(), Size: r.varint(), DeployedMs: r.varint()}
}

func (d *Deployment) encode(w *writer) {
	w.str(d.Name)
	w.str(d.Group)
	w.strs(d.Inputs)
	w.strs(d.Outputs)
	w.strMap(d.Config)
	w.str(d.From)
	encodeOffsets(w, d.FromOffsets)
	w.str(d.Partition)
	w.str(d.Guarantee)
	w.str(d.OnError)
	w.str(d.DLQ)
	w.varint(int64(d.Retries))
	w.varint(d.TimeoutMs)
	w.varint(d.MemoryBytes)
	w.varint(int64(d.Members))
	w.bool(d.CreateOutputs)
	d.Module.encode(w)
	w.varint(int64(d.Restores))
	encodeOffsets(w, d.TookOver)
	w.uvarint(uint64(len(d.FromTopics)))
	for _, name := range slices.Sorted(maps.Keys(d.FromTopics)) {
		id := d.FromTopics[name]
		w.str(name)
		w.raw(id[:])
	}
	w.uvarint(uint64(len(d.History)))
	for i := range d.History {
		d.History[i].encode(w)
	}
	w.str(string(d.State))
	w.str(d.Reason)
	w.varint(d.CreatedMs)
	w.uvarint(d.CreatedSeq)
	w.uvarint(d.ChangedSeq)
}

// deploymentFormat is the newest form of an encoded deployment. Form 1 knew no origin of a version, and of the versions
// before only the modules; form 2 knew no topics of FromOffsets.
const deploymentFormat = 3

func decodeDeployment(r *reader, format uint64) *Deployment {
	d := &Deployment{Name: r.str(), Group: r.str(), Inputs: r.strs(), Outputs: r.strs(), Config: r.strMap(), From: r.str()}
	d.FromOffsets = decodeOffsets(r)
	d.Partition, d.Guarantee, d.OnError, d.DLQ = r.str(), r.str(), r.str(), r.str()
	d.Retries, d.TimeoutMs, d.MemoryBytes, d.Members = r.int32(), r.varint(), r.varint(), r.int32()
	d.CreateOutputs = r.bool()
	d.Module = decodeModuleRef(r)
	if format >= 2 {
		d.Restores, d.TookOver = r.int32(), decodeOffsets(r)
	}
	if format >= 3 {
		d.FromTopics = decodeTopicIDs(r)
	}
	d.decodeHistory(r, format)
	d.State, d.Reason = DeploymentState(r.str()), r.str()
	d.CreatedMs, d.CreatedSeq, d.ChangedSeq = r.varint(), r.uvarint(), r.uvarint()
	return d
}

// decodeTopicIDs reads names in ascending order.
func decodeTopicIDs(r *reader) map[string]TopicID {
	n := r.count(1 + len(TopicID{}))
	if n == 0 {
		return nil
	}
	ids, last := make(map[string]TopicID, n), ""
	for i := range n {
		name := r.str()
		if i > 0 && name <= last {
			r.fail("topic %q twice or out of order", name)
			return nil
		}
		ids[name], last = r.topicID(), name
	}
	return ids
}

// decodeHistory takes the settings of versions of form 1 from the deployment: only the module could change then.
func (d *Deployment) decodeHistory(r *reader, format uint64) {
	n := r.count(5)
	if n > maxHistory {
		r.fail("%d earlier versions", n)
		return
	}
	for range n {
		if format >= 2 {
			d.History = append(d.History, decodeVersion(r))
			continue
		}
		v := d.Version()
		v.Module = decodeModuleRef(r)
		d.History = append(d.History, v)
	}
}
