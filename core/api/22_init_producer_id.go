package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// initProducerID gives an idempotent producer its id. Transactions are not served: a transactional id is refused at once, with a
// code that no client retries.
//
// v3 lets a producer say which id it had; without a transactional id it simply gets a new one.
func (h *Handler) initProducerID(ctx context.Context, c *Call, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	switch {
	case req.TransactionalID != nil && *req.TransactionalID == "":
		resp.ErrorCode = codeInvalidRequest
		return resp
	case req.TransactionalID != nil:
		resp.ErrorCode = codeTransactionalIDAuthorizationFailed
		return resp
	case c.Version >= 3 && (req.ProducerID == -1) != (req.ProducerEpoch == -1):
		resp.ErrorCode = codeInvalidRequest
		return resp
	}
	id, err := h.producerIDs.next(ctx, h.cfg.Cluster, h.cfg.NodeID)
	if err != nil {
		h.cfg.Logger.Warn("cannot get producer ids", "err", err)
		resp.ErrorCode = codeCoordinatorNotAvailable // clients ask again
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp
}

// producerIDs hands out the ids of a block that this broker has got from the cluster. A block is lost with the process: ids are
// never given twice.
type producerIDs struct {
	lock      chan struct{} // holds one value while nobody has the lock, which waits no longer than its context
	id, after int64
}

func newProducerIDs() *producerIDs {
	p := &producerIDs{lock: make(chan struct{}, 1)}
	p.lock <- struct{}{}
	return p
}

func (p *producerIDs) next(ctx context.Context, cluster Cluster, node meta.NodeID) (int64, error) {
	select {
	case <-p.lock:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { p.lock <- struct{}{} }()
	if p.id == p.after {
		var block *meta.AllocateProducerIDs
		_, err := cluster.Change(ctx, func(img *meta.Image) (c meta.Command, err error) {
			block, err = meta.DecideAllocateProducerIDs(img, node)
			if err != nil {
				return nil, err
			}
			return block, nil
		})
		if err != nil {
			return 0, err
		}
		p.id, p.after = block.First, block.First+block.Count
	}
	p.id++
	return p.id - 1, nil
}
