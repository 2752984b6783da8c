package group

import (
	"github.com/millrun/millrun/core/machine"
	"github.com/millrun/millrun/core/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Op is one operation on a shard. Each says what its [Reply] is.
type Op interface {
	decide(s *Shard, t machine.Ticket)
}

// Reply is the answer to an operation: of the type that the operation names. Responses carry no version; what they refer
// to is shared with the shard and must not be changed.
type Reply any

// Join is a JoinGroup request. It is answered with a *kmsg.JoinGroupResponse when all members have joined.
type Join struct {
	Req                  *kmsg.JoinGroupRequest
	ClientID, ClientHost string
	// NewID makes the member's id unique if it has to be given one: a random UUID.
	NewID string
}

// Sync is a SyncGroup request. It is answered with a *kmsg.SyncGroupResponse when the leader has assigned.
type Sync struct{ Req *kmsg.SyncGroupRequest }

// Heartbeat is answered with a *kmsg.HeartbeatResponse.
type Heartbeat struct{ Req *kmsg.HeartbeatRequest }

// Leave is answered with a *kmsg.LeaveGroupResponse.
type Leave struct{ Req *kmsg.LeaveGroupRequest }

// Commit stores offsets. It is answered with a CommitReply. The topics must exist.
type Commit struct {
	Group, Member string
	Instance      *string
	Generation    int32 // -1: not a member
	Version       int16 // of the request
	RetentionMs   int64 // -1: the broker's
	Offsets       []CommitOffset
}

// CommitOffset is one partition's offset to be committed.
type CommitOffset struct {
	Topic       string
	TopicID     meta.TopicID
	Partition   int32
	LeaderEpoch int32
	Offset      int64
	Metadata    string
}

// CommitReply has one code for each of the operation's offsets.
type CommitReply []Code

// Fetch reads offsets. It is answered with a []FetchedTopic: all of the group's, or those asked for in their order.
type Fetch struct {
	Group  string
	All    bool
	Topics []FetchTopic
}

// FetchTopic names partitions of a topic.
type FetchTopic struct {
	Topic      string
	Partitions []int32
}

// FetchedTopic is the committed offsets of a topic's partitions.
type FetchedTopic struct {
	Topic      string
	Partitions []FetchedPartition
}

// FetchedPartition is a partition's committed offset, NoOffset if there is none.
type FetchedPartition struct {
	Partition   int32
	LeaderEpoch int32
	Offset      int64
	Metadata    string
}

// DeleteOffsets is answered with a *kmsg.OffsetDeleteResponse.
type DeleteOffsets struct{ Req *kmsg.OffsetDeleteRequest }

// Delete deletes an empty group and its offsets. It is answered with a Code.
type Delete struct{ Group string }

// Describe is answered with a *kmsg.DescribeGroupsResponseGroup; a group that does not exist has the code
// GroupIDNotFound and the state Dead.
type Describe struct{ Group string }

// List is answered with a []kmsg.ListGroupsResponseGroup: the groups of the shard whose state and type are among those
// given, in any case; no state or type given means all.
type List struct{ States, Types []string }

// Sweep deletes the offsets of topics that the image does not have any more. It is answered with the number deleted.
type Sweep struct{ Image *meta.Image }
