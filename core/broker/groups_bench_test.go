package broker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkCommit is one offset committed by one of many consumers at once, to the log and back, without a socket.
func BenchmarkCommit(b *testing.B) {
	broker := startGroupBroker(b, "")
	if _, err := kadm.NewClient(newClient(b, broker)).CreateTopic(b.Context(), 1, 1, nil, "t"); err != nil {
		b.Fatal(err)
	}
	for _, groups := range []int{1, 100} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			var consumers atomic.Int32
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				group := fmt.Sprintf("g%d", int(consumers.Add(1))%groups)
				for n := int64(0); pb.Next(); n++ {
					req := kmsg.NewPtrOffsetCommitRequest()
					req.Version, req.Group = 9, group
					req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: n}}}}
					resp, err := broker.handler.Call(context.Background(), "bench", "/bench", req)
					if err != nil || resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode != 0 {
						b.Error(resp, err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkJoinThousand is a group of 1,000 members from their joins to their assignments.
func BenchmarkJoinThousand(b *testing.B) {
	const members = 1000
	broker := startGroupBroker(b, "", "group.initial.rebalance.delay.ms=50")
	call := func(req kmsg.Request) kmsg.Response {
		resp, err := broker.handler.Call(context.Background(), "bench", "/bench", req)
		if err != nil {
			b.Error(err)
		}
		return resp
	}
	metadata := make([]byte, 200)
	for i := range b.N {
		var wg sync.WaitGroup
		for range members {
			wg.Go(func() {
				join := kmsg.NewPtrJoinGroupRequest()
				join.Version, join.Group = 9, fmt.Sprint("g", i)
				join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType = 30_000, 30_000, "bench"
				join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "p", Metadata: metadata}}
				join.MemberID = call(join).(*kmsg.JoinGroupResponse).MemberID
				joined := call(join).(*kmsg.JoinGroupResponse)
				sync := kmsg.NewPtrSyncGroupRequest()
				sync.Version, sync.Group, sync.MemberID, sync.Generation = 5, join.Group, joined.MemberID, joined.Generation
				for _, m := range joined.Members {
					sync.GroupAssignment = append(sync.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: metadata})
				}
				if r := call(sync).(*kmsg.SyncGroupResponse); r.ErrorCode != 0 || len(r.MemberAssignment) != len(metadata) {
					b.Errorf("error %d, %d bytes", r.ErrorCode, len(r.MemberAssignment))
				}
			})
		}
		wg.Wait()
	}
}
