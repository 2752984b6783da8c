package api

import (
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	b := startBroker(t)
	const clients, each = 8, 300 // more than a block
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wait sync.WaitGroup
	for range clients {
		c := b.dial()
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range each {
				req := kmsg.NewPtrInitProducerIDRequest()
				resp := do[*kmsg.InitProducerIDResponse](c, req, int16(i%6))
				mu.Lock()
				if resp.ErrorCode != 0 || resp.ProducerEpoch != 0 || resp.ProducerID < 0 || seen[resp.ProducerID] {
					t.Errorf("%+v", resp)
				}
				seen[resp.ProducerID] = true
				mu.Unlock()
			}
		}()
	}
	wait.Wait()
}

func TestATransactionalIDIsRefusedAtOnce(t *testing.T) {
	b := startBroker(t)
	id, none := "payments", ""
	for _, test := range []struct {
		req  kmsg.InitProducerIDRequest
		want int16
	}{
		{kmsg.InitProducerIDRequest{TransactionalID: &id, ProducerID: -1, ProducerEpoch: -1}, codeTransactionalIDAuthorizationFailed},
		{kmsg.InitProducerIDRequest{TransactionalID: &none, ProducerID: -1, ProducerEpoch: -1}, codeInvalidRequest},
		{kmsg.InitProducerIDRequest{ProducerID: 5, ProducerEpoch: -1}, codeInvalidRequest},
		{kmsg.InitProducerIDRequest{ProducerID: 5, ProducerEpoch: 3}, codeNone},
	} {
		resp := do[*kmsg.InitProducerIDResponse](b.dial(), &test.req, 5)
		if resp.ErrorCode != test.want || test.want != 0 && (resp.ProducerID != -1 || resp.ProducerEpoch != -1) {
			t.Fatalf("%+v: %+v", test.req, resp)
		}
	}
}
