package transform

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaError is an error code of the protocol.
type kafkaError int16

// The codes that a member acts on.
const (
	codeUnknownTopic         kafkaError = 3
	codeNotLeader            kafkaError = 6
	codeTimedOut             kafkaError = 7
	codeCoordinatorLoading   kafkaError = 14
	codeCoordinatorAway      kafkaError = 15
	codeNotCoordinator       kafkaError = 16
	codeIllegalGeneration    kafkaError = 22
	codeInconsistentProtocol kafkaError = 23
	codeUnknownMember        kafkaError = 25
	codeRebalancing          kafkaError = 27
	codeTopicExists          kafkaError = 36
	codeNonEmptyGroup        kafkaError = 68
	codeGroupNotFound        kafkaError = 69
	codeMemberIDRequired     kafkaError = 79
	codeFencedInstance       kafkaError = 82
	codeUnstableOffset       kafkaError = 88
)

var kafkaErrorNames = map[kafkaError]string{
	codeUnknownTopic:         "UNKNOWN_TOPIC_OR_PARTITION",
	codeNotLeader:            "NOT_LEADER_OR_FOLLOWER",
	codeTimedOut:             "REQUEST_TIMED_OUT",
	codeCoordinatorLoading:   "COORDINATOR_LOAD_IN_PROGRESS",
	codeCoordinatorAway:      "COORDINATOR_NOT_AVAILABLE",
	codeNotCoordinator:       "NOT_COORDINATOR",
	codeIllegalGeneration:    "ILLEGAL_GENERATION",
	codeInconsistentProtocol: "INCONSISTENT_GROUP_PROTOCOL",
	codeUnknownMember:        "UNKNOWN_MEMBER_ID",
	codeRebalancing:          "REBALANCE_IN_PROGRESS",
	codeTopicExists:          "TOPIC_ALREADY_EXISTS",
	codeNonEmptyGroup:        "NON_EMPTY_GROUP",
	codeGroupNotFound:        "GROUP_ID_NOT_FOUND",
	codeMemberIDRequired:     "MEMBER_ID_REQUIRED",
	codeFencedInstance:       "FENCED_INSTANCE_ID",
	codeUnstableOffset:       "UNSTABLE_OFFSET_COMMIT",
}

func (e kafkaError) Error() string {
	if name, ok := kafkaErrorNames[e]; ok {
		return name
	}
	return fmt.Sprintf("Kafka error %d", int16(e))
}

// check is nil for code 0.
func check(code int16) error {
	if code == 0 {
		return nil
	}
	return kafkaError(code)
}

// passing tells whether the same request may succeed if it is made again.
func (e kafkaError) passing() bool {
	switch e {
	case codeCoordinatorLoading, codeCoordinatorAway, codeNotCoordinator, codeTimedOut, codeUnstableOffset, codeNotLeader:
		return true
	}
	return false
}

// requester makes requests under one client id.
type requester struct {
	caller   Caller
	clientID string
}

// localHost is where members of this node say they come from, as Kafka writes an address.
const localHost = "/127.0.0.1"

// request makes a request of the given version and returns its response, which has the type that belongs to the request.
func request[R kmsg.Response](ctx context.Context, r requester, version int16, req kmsg.Request) (R, error) {
	var none R
	req.SetVersion(version)
	resp, err := r.caller.Call(ctx, r.clientID, localHost, req)
	if err != nil {
		return none, fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err)
	}
	typed, ok := resp.(R)
	if !ok {
		return none, fmt.Errorf("%s: answered with %T", kmsg.NameForKey(req.Key()), resp)
	}
	return typed, nil
}

// The versions that are spoken: old enough to carry names instead of topic ids, new enough for everything in use.
const (
	versionListOffsets       = 7
	versionOffsetCommit      = 8
	versionOffsetFetch       = 7
	versionOffsetFetchGroups = 8
	versionFindCoordinator   = 4
	versionJoinGroup         = 9
	versionHeartbeat         = 4
	versionLeaveGroup        = 5
	versionSyncGroup         = 5
	versionDescribeGroups    = 5
	versionCreateTopics      = 5
	versionDescribeConfigs   = 4
	versionDeleteGroups      = 2
	versionCreatePartitions  = 1
)
