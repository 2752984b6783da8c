package api

import "sync/atomic"

// Traffic counts what a handler has done since it was made.
type Traffic struct {
	Requests      uint64
	ProducedBytes uint64 // of batches that were appended for clients
	FetchedBytes  uint64 // of batches in responses to fetches
}

type traffic struct{ requests, produced, fetched atomic.Uint64 }

// Traffic takes the numbers now.
func (h *Handler) Traffic() Traffic {
	return Traffic{h.traffic.requests.Load(), h.traffic.produced.Load(), h.traffic.fetched.Load()}
}
