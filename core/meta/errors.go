package meta

import (
	"errors"
	"fmt"
)

// Why a decision refuses, or Apply ignores, a command. What is returned wraps one of these (test with errors.Is); its
// text is the message for the client alone.
var (
	ErrTopicExists              = errors.New("topic exists")
	ErrInvalidTopic             = errors.New("invalid topic name")
	ErrUnknownTopic             = errors.New("unknown topic")
	ErrUnknownTopicID           = errors.New("unknown topic id")
	ErrInvalidPartitions        = errors.New("invalid number of partitions")
	ErrInvalidReplicationFactor = errors.New("invalid replication factor")
	ErrInvalidAssignment        = errors.New("invalid replica assignment")
	ErrInvalidRequest           = errors.New("invalid request")
	ErrTooManyPartitions        = errors.New("too many partitions in one request") // Kafka's POLICY_VIOLATION
	ErrUnknownBroker            = errors.New("unknown broker")
	ErrInvalidBroker            = errors.New("invalid broker registration")
	ErrUnknownPartition         = errors.New("unknown partition")
	ErrInvalidPartitionChange   = errors.New("invalid change of a partition")
	ErrDeploymentExists         = errors.New("deployment exists")
	ErrUnknownDeployment        = errors.New("unknown deployment")
	ErrInvalidDeployment        = errors.New("invalid deployment")
	ErrStale                    = errors.New("stale command") // decided on a state that has passed
)

// ErrNothing may be returned by the decide function of a change in place of a nil command: nothing has to be changed.
var ErrNothing = errors.New("nothing to change")

// ErrTooLarge is the answer to a change whose command would be larger than MaxCommandSize.
var ErrTooLarge = errors.New("metadata change is too large")

// ErrNoSpace is the answer to a change for which the disk has no room now.
var ErrNoSpace = errors.New("no space left on the disk")

// Errors of decoding.
var (
	ErrCorrupt        = errors.New("metadata is damaged")
	ErrUnknownCommand = errors.New("metadata was written by a newer version of millrun")
)

// refusal is an error whose text is meant for the client and whose kind is one of the errors above.
type refusal struct {
	kind error
	msg  string
}

func (r *refusal) Error() string { return r.msg }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}
