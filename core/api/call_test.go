package api

import (
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestCallsInProcessAreAnsweredAsThoseOverASocket(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	ctx := context.Background()
	call := func(req kmsg.Request, version int16) kmsg.Response {
		t.Helper()
		req.SetVersion(version)
		resp, err := b.handler.Call(ctx, "wasm", "local", req)
		if err != nil || resp.GetVersion() != version || resp.Key() != req.Key() {
			t.Fatalf("%+v, %v", resp, err)
		}
		return resp
	}
	big := batch(strings.Repeat("v", 100_000))
	produced := call(produceRequestTo(topic, -1, big), 13).(*kmsg.ProduceResponse)
	if p := produced.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Fatalf("%+v", p)
	}
	fetched := call(fetchRequestFrom(topic, 0), 13).(*kmsg.FetchResponse)
	if p := fetched.Topics[0].Partitions[0]; len(p.RecordBatches) != len(big) {
		t.Fatalf("%d bytes of %d", len(p.RecordBatches), len(big))
	}
	m := call(metadataRequest(false, "orders"), 9).(*kmsg.MetadataResponse)
	if len(m.Brokers) != 1 || m.Topics[0].ErrorCode != 0 {
		t.Fatalf("%+v", m)
	}
	call(produceRequestTo(topic, 0, batch("v")), 9)
}

func TestCallsThatWouldCostAConnectionAreErrors(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	refused := produceRequestTo(topic, 0, []byte("garbage"))
	refused.SetVersion(9)
	old := produceRequestTo(topic, 1, batch("v"))
	old.SetVersion(2)
	unserved := kmsg.NewPtrElectLeadersRequest()
	for _, req := range []kmsg.Request{refused, old, unserved} {
		if resp, err := b.handler.Call(context.Background(), "wasm", "local", req); err == nil {
			t.Errorf("%T is answered %+v", req, resp)
		}
	}
}
