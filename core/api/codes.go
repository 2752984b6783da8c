package api

import (
	"context"
	"errors"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/replica"
)

// codes maps the errors of the packages below to Kafka's codes: the only place that does. An error is looked up with
// errors.Is, the first match counts.
var codes = []struct {
	err  error
	code int16
}{
	// These may wrap what a partition said, and say more.
	{group.ErrNotCoordinator, codeNotCoordinator},
	{group.ErrLoading, codeCoordinatorLoadInProgress},
	{group.ErrUnavailable, codeCoordinatorNotAvailable},
	{group.ErrClosed, codeCoordinatorNotAvailable},

	{meta.ErrTopicExists, codeTopicAlreadyExists},
	{meta.ErrInvalidTopic, codeInvalidTopic},
	{meta.ErrUnknownTopic, codeUnknownTopicOrPartition},
	{meta.ErrUnknownTopicID, codeUnknownTopicID},
	{meta.ErrInvalidAssignment, codeInvalidReplicaAssignment},
	{meta.ErrInvalidRequest, codeInvalidRequest},
	{meta.ErrTooManyPartitions, codePolicyViolation},
	{meta.ErrUnknownBroker, codeInvalidRequest},
	{config.ErrInvalid, codeInvalidConfig},
	{meta.ErrUnknownTopicID, codeUnknownTopicID},
	{meta.ErrUnknownPartition, codeUnknownTopicOrPartition},
	{meta.ErrInvalidPartitions, codeInvalidPartitions},
	{meta.ErrInvalidReplicationFactor, codeInvalidReplicationFactor},
	{meta.ErrInvalidAssignment, codeInvalidReplicaAssignment},
	{meta.ErrInvalidRequest, codeInvalidRequest},
	{meta.ErrTooManyPartitions, codePolicyViolation},
	{meta.ErrTooLarge, codePolicyViolation},
	{meta.ErrNoSpace, codeKafkaStorageError},

	{replica.ErrNotLeader, codeNotLeaderOrFollower},
	{replica.ErrClosed, codeNotLeaderOrFollower}, // the partition is being stopped: clients look for it again
	{replica.ErrTimeout, codeRequestTimedOut},
	{replica.ErrStorage, codeKafkaStorageError},
	{replica.ErrPolicy, codePolicyViolation},
	{replica.ErrNotEnough, codeNotEnoughReplicas},
	{replica.ErrOutOfRange, codeOffsetOutOfRange},
	{replica.ErrFencedEpoch, codeFencedLeaderEpoch},
	{replica.ErrUnknownEpoch, codeUnknownLeaderEpoch},
	{replica.ErrCorrupt, codeCorruptMessage},
	{replica.ErrInvalidRecord, codeInvalidRecord},
	{replica.ErrInvalidTimestamp, codeInvalidTimestamp},
	{replica.ErrUnsupportedCodec, codeUnsupportedCompressionType},
	{replica.ErrMessageTooLarge, codeMessageTooLarge},
	{replica.ErrRecordListTooLarge, codeRecordListTooLarge},
	{replica.ErrOutOfOrderSequence, codeOutOfOrderSequenceNumber},
	{replica.ErrInvalidProducerEpoch, codeInvalidProducerEpoch},
	{replica.ErrInvalidTxnState, codeInvalidTxnState},

	{context.DeadlineExceeded, codeRequestTimedOut},
	{context.Canceled, codeRequestTimedOut},
}

// codeOf returns the code for err: codeNone for nil, codeUnknownServerError for what no client can have caused.
func codeOf(err error) int16 {
	if err == nil {
		return codeNone
	}
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	for i := range codes {
		if errors.Is(err, codes[i].err) {
			return codes[i].code
		}
	}
	return codeUnknownServerError
}

// messageOf returns what a response may say about err, nil for no error.
func messageOf(err error) *string {
	if err == nil {
		return nil
	}
	s := err.Error()
	return &s
}
