package meta

import "fmt"

// MaxCommandSize bounds an encoded command: a larger one is refused before it reaches the log.
const MaxCommandSize = 1 << 20

// commandFormat is the first byte of every encoded command.
const commandFormat = 1

// kind says which command an encoded command is. Numbers are never reused.
type kind uint64

const (
	kindNoop kind = iota + 1
	kindSetCluster
	kindRegisterBroker
	kindFenceBroker
	kindClaimController
	kindAllocateProducerIDs
	kindCreateTopics
	kindDeleteTopics
	kindCreatePartitions
	kindAlterTopicConfigs
	kindAlterBrokerConfigs
	kindChangePartitions
	kindPutDeployment
	kindUpdateDeployment
	kindDeleteDeployment
	kindBatch
)

// Command is one change of the cluster's state, as it stands in the log. The types of this package whose names are verbs
// are the only ones.
type Command interface {
	kind() kind
	encode(w *writer)
	apply(e *edit) error
}

// Noop changes nothing but the sequence: whoever appended it has seen everything before it.
type Noop struct{}

// SetCluster names the cluster; it is the first command of a log.
type SetCluster struct{ ClusterID string }

// RegisterBroker adds a broker, or puts a new incarnation in place of the one with the same id.
type RegisterBroker struct{ Broker Broker }

// FenceBroker takes a broker out of service, or back in. Only the controller says so.
type FenceBroker struct {
	ControllerEpoch uint64
	Broker          NodeID
	Incarnation     string
	Fenced          bool
}

// ClaimController makes the broker the controller, if nobody has become it since ExpectedEpoch. The new epoch is the
// command's sequence.
type ClaimController struct {
	Broker        NodeID
	Incarnation   string
	ExpectedEpoch uint64
}

// AllocateProducerIDs gives the producer ids First to First+Count-1 to a broker.
type AllocateProducerIDs struct {
	Broker NodeID
	First  int64
	Count  int64
}

// CreateTopics adds topics, all or none.
type CreateTopics struct{ Topics []*Topic }

// DeleteTopics removes topics, all or none.
type DeleteTopics struct{ IDs []TopicID }

// CreatePartitions appends partitions to topics, all or none.
type CreatePartitions struct{ Topics []AddedPartitions }

// AddedPartitions are a topic's new partitions. The first one's id is the number of partitions that the topic has.
type AddedPartitions struct {
	ID         TopicID
	Partitions []Partition
}

// AlterTopicConfigs replaces all settings of topics, all or none.
type AlterTopicConfigs struct{ Topics []TopicConfigs }

// TopicConfigs are all the settings that a topic is to have.
type TopicConfigs struct {
	ID      TopicID
	Configs map[string]string
}

// AlterBrokerConfigs replaces all settings stored for one broker, or for all of them (ClusterDefault).
type AlterBrokerConfigs struct {
	Node    NodeID
	Configs map[string]string
}

// ChangePartitions changes leaders, in-sync replicas and replicas of partitions, all or none. Only the controller
// says so.
type ChangePartitions struct {
	ControllerEpoch uint64
	Changes         []PartitionChange
}

// PartitionChange is what a partition is to become. It holds only if the partition has not changed since
// PartitionEpoch. A leader other than the present one counts up the leader epoch, as does NewLeaderEpoch.
type PartitionChange struct {
	Topic          TopicID
	Partition      int32
	PartitionEpoch int32
	Replicas, ISR  []NodeID
	Leader         NodeID
	NewLeaderEpoch bool
}

// PutDeployment adds a deployment or replaces the one of the same name.
type PutDeployment struct{ Deployment Deployment }

// UpdateDeployment changes what a deployment is meant to be doing.
type UpdateDeployment struct {
	Name       string
	CreatedSeq uint64 // of the deployment that is meant
	State      DeploymentState
	Reason     string
}

// DeleteDeployment removes a deployment.
type DeleteDeployment struct {
	Name       string
	CreatedSeq uint64
}

// Batch is commands that were decided one on the other's outcome and stand in the log as one: all are applied at the
// same sequence, or, if one of them cannot be, none. It holds no Batch.
type Batch struct{ Commands []Command }

func (*Batch) kind() kind               { return kindBatch }
func (*Noop) kind() kind                { return kindNoop }
func (*SetCluster) kind() kind          { return kindSetCluster }
func (*RegisterBroker) kind() kind      { return kindRegisterBroker }
func (*FenceBroker) kind() kind         { return kindFenceBroker }
func (*ClaimController) kind() kind     { return kindClaimController }
func (*AllocateProducerIDs) kind() kind { return kindAllocateProducerIDs }
func (*CreateTopics) kind() kind        { return kindCreateTopics }
func (*DeleteTopics) kind() kind        { return kindDeleteTopics }
func (*CreatePartitions) kind() kind    { return kindCreatePartitions }
func (*AlterTopicConfigs) kind() kind   { return kindAlterTopicConfigs }
func (*AlterBrokerConfigs) kind() kind  { return kindAlterBrokerConfigs }
func (*ChangePartitions) kind() kind    { return kindChangePartitions }
func (*PutDeployment) kind() kind       { return kindPutDeployment }
func (*UpdateDeployment) kind() kind    { return kindUpdateDeployment }
func (*DeleteDeployment) kind() kind    { return kindDeleteDeployment }

// MakesRoom tells whether a command lets the disk become emptier: it deletes something, or may shorten what a topic keeps.
func MakesRoom(c Command) bool {
	switch c.(type) {
	case *DeleteTopics, *AlterTopicConfigs, *AlterBrokerConfigs, *DeleteDeployment:
		return true
	}
	return false
}

// commandKind is one row of what this binary can read.
type commandKind struct {
	version uint64 // the newest; all from 1 on can be read
	decode  func(r *reader, version uint64) Command
}

// kinds is the table of all commands but Batch, whose decoder uses it.
var kinds = map[kind]commandKind{
	kindNoop:                {1, decodeNoop},
	kindSetCluster:          {1, decodeSetCluster},
	kindRegisterBroker:      {1, decodeRegisterBroker},
	kindFenceBroker:         {1, decodeFenceBroker},
	kindClaimController:     {1, decodeClaimController},
	kindAllocateProducerIDs: {1, decodeAllocateProducerIDs},
	kindCreateTopics:        {1, decodeCreateTopics},
	kindDeleteTopics:        {1, decodeDeleteTopics},
	kindCreatePartitions:    {1, decodeCreatePartitions},
	kindAlterTopicConfigs:   {1, decodeAlterTopicConfigs},
	kindAlterBrokerConfigs:  {1, decodeAlterBrokerConfigs},
	kindChangePartitions:    {1, decodeChangePartitions},
	kindPutDeployment:       {deploymentFormat, decodePutDeployment},
	kindUpdateDeployment:    {1, decodeUpdateDeployment},
	kindDeleteDeployment:    {1, decodeDeleteDeployment},
}

func lookupKind(k kind) (commandKind, bool) {
	if k == kindBatch {
		return commandKind{1, decodeBatch}, true
	}
	c, ok := kinds[k]
	return c, ok
}

// AppendCommand appends the encoded command to dst.
func AppendCommand(dst []byte, c Command) []byte {
	w := writer{dst}
	w.byte(commandFormat)
	w.uvarint(uint64(c.kind()))
	known, _ := lookupKind(c.kind())
	w.uvarint(known.version)
	c.encode(&w)
	return w.b
}

// DecodeCommand reads one encoded command that fills b. The error is ErrUnknownCommand if a newer binary wrote it, else
// ErrCorrupt; both mean that the log cannot be followed any further.
func DecodeCommand(b []byte) (Command, error) { return decodeCommand(b, true) }

func decodeCommand(b []byte, batchAllowed bool) (Command, error) {
	r := newReader(b)
	if f := r.byte(); f != commandFormat && r.err == nil {
		return nil, fmt.Errorf("%w: command format %d, this binary reads %d", ErrUnknownCommand, f, commandFormat)
	}
	k, version := kind(r.uvarint()), r.uvarint()
	if k == kindBatch && !batchAllowed {
		r.fail("a batch in a batch")
	}
	if r.err != nil {
		return nil, fmt.Errorf("command: %w", r.err)
	}
	known, ok := lookupKind(k)
	if !ok {
		return nil, fmt.Errorf("%w: command %d is unknown to this binary", ErrUnknownCommand, k)
	}
	if version == 0 || version > known.version {
		return nil, fmt.Errorf("%w: command %d version %d, this binary reads up to %d", ErrUnknownCommand, k, version, known.version)
	}
	c := known.decode(r, version)
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("command %d: %w", k, err)
	}
	return c, nil
}
