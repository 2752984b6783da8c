package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/server"
)

// api is one served key.
type api struct {
	key      int16
	name     string
	min, max int16 // what is served, and (but for produceAdvertisedMin) advertised
	behaviour

	flexibleFrom int16  // the first flexible version; max+1 if none; filled in from kmsg
	shape        *shape // what a body of this key looks like
}

// behaviour is how a key is answered: one of the two.
type behaviour struct {
	// direct keys read the body and write the response themselves, on the connection's read loop.
	direct func(*Handler, context.Context, *server.Request) server.Pending
	// decoded keys get the request from kmsg and return a response. They may block, unless inline.
	decoded func(*Handler, context.Context, *Call, kmsg.Request) kmsg.Response
	// inline keys never block and are answered on the read loop at once; the others when their turn to be written has come.
	inline bool
}

// table lists every served key, in the order of their numbers. spec/apis.md is compared with it by a test.
func table() []api {
	return []api{
		{key: 0, name: "Produce", min: 3, max: 13, behaviour: direct((*Handler).produce)},
		{key: 1, name: "Fetch", min: 4, max: 18, behaviour: direct((*Handler).fetch)},
		{key: 2, name: "ListOffsets", min: 1, max: 11, behaviour: waiting((*Handler).listOffsets)},
		{key: 3, name: "Metadata", min: 0, max: 13, behaviour: waiting((*Handler).metadata)},
		{key: 8, name: "OffsetCommit", min: 2, max: 10, behaviour: waiting((*Handler).offsetCommit)},
		{key: 9, name: "OffsetFetch", min: 1, max: 10, behaviour: waiting((*Handler).offsetFetch)},
		{key: 10, name: "FindCoordinator", min: 0, max: 6, behaviour: waiting((*Handler).findCoordinator)},
		{key: 11, name: "JoinGroup", min: 0, max: 9, behaviour: waiting((*Handler).joinGroup)},
		{key: 12, name: "Heartbeat", min: 0, max: 4, behaviour: waiting((*Handler).heartbeat)},
		{key: 13, name: "LeaveGroup", min: 0, max: 5, behaviour: waiting((*Handler).leaveGroup)},
		{key: 14, name: "SyncGroup", min: 0, max: 5, behaviour: waiting((*Handler).syncGroup)},
		{key: 15, name: "DescribeGroups", min: 0, max: 6, behaviour: waiting((*Handler).describeGroups)},
		{key: 16, name: "ListGroups", min: 0, max: 5, behaviour: waiting((*Handler).listGroups)},
		{key: 18, name: "ApiVersions", min: 0, max: 5, behaviour: inline((*Handler).apiVersions)},
		{key: 19, name: "CreateTopics", min: 2, max: 7, behaviour: waiting((*Handler).createTopics)},
		{key: 20, name: "DeleteTopics", min: 1, max: 6, behaviour: waiting((*Handler).deleteTopics)},
		{key: 21, name: "DeleteRecords", min: 0, max: 2, behaviour: waiting((*Handler).deleteRecords)},
		{key: 22, name: "InitProducerID", min: 0, max: 5, behaviour: waiting((*Handler).initProducerID)},
		{key: 23, name: "OffsetForLeaderEpoch", min: 2, max: 4, behaviour: waiting((*Handler).offsetForLeaderEpoch)},
		{key: 32, name: "DescribeConfigs", min: 1, max: 4, behaviour: waiting((*Handler).describeConfigs)},
		{key: 33, name: "AlterConfigs", min: 0, max: 2, behaviour: waiting((*Handler).alterConfigs)},
		{key: 35, name: "DescribeLogDirs", min: 1, max: 5, behaviour: waiting((*Handler).describeLogDirs)},
		{key: 37, name: "CreatePartitions", min: 0, max: 3, behaviour: waiting((*Handler).createPartitions)},
		{key: 42, name: "DeleteGroups", min: 0, max: 3, behaviour: waiting((*Handler).deleteGroups)},
		{key: 44, name: "IncrementalAlterConfigs", min: 0, max: 1, behaviour: waiting((*Handler).incrementalAlterConfigs)},
		{key: 47, name: "OffsetDelete", min: 0, max: 0, behaviour: waiting((*Handler).offsetDelete)},
		{key: 60, name: "DescribeCluster", min: 0, max: 2, behaviour: inline((*Handler).describeCluster)},
		{key: 75, name: "DescribeTopicPartitions", min: 0, max: 0, behaviour: waiting((*Handler).describeTopicPartitions)},
	}
}

// produceAdvertisedMin is what ApiVersions says although versions below the table's are refused: librdkafka takes a higher
// minimum for a broker that knows no compression (KAFKA-18659).
const produceAdvertisedMin = 0

// waiting makes a behaviour of a function that may block.
func waiting[R kmsg.Request, S kmsg.Response](fn func(*Handler, context.Context, *Call, R) S) behaviour {
	return behaviour{decoded: func(h *Handler, ctx context.Context, c *Call, req kmsg.Request) kmsg.Response {
		return fn(h, ctx, c, req.(R))
	}}
}

// inline makes a behaviour of a function that never blocks: no disk, no other broker, no waiting for a condition.
func inline[R kmsg.Request, S kmsg.Response](fn func(*Handler, context.Context, *Call, R) S) behaviour {
	b := waiting(fn)
	b.inline = true
	return b
}

func direct(fn func(*Handler, context.Context, *server.Request) server.Pending) behaviour {
	return behaviour{direct: fn}
}
