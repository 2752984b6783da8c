package admin

import (
	"bytes"
	"net/http"

	"github.com/VictoriaMetrics/metrics"
)

// Stats are the numbers of a broker at one moment. What ends in Total only ever rises.
type Stats struct {
	Topics, Partitions int
	Connections        int
	MemoryReserved     int64 // bytes of requests in the queues
	RequestsTotal      uint64
	ProducedBytesTotal uint64
	FetchedBytesTotal  uint64
	OfflinePartitions  int // stopped by a disk error, or quarantined
}

// metrics writes everything in Prometheus' text format: the broker, each deployment, and the process.
func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	var out bytes.Buffer
	writeStats(&out, h.Stats())
	all, err := h.Deployments.DescribeAll(r.Context())
	if err != nil {
		// The broker's own numbers are wanted most when something does not work.
		h.Logger.Warn("metrics are without the deployments", "error", err)
	}
	writeDeployments(&out, all)
	metrics.WriteProcessMetrics(&out)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	// A client that is gone does not need the answer.
	_, _ = w.Write(out.Bytes())
}

func writeStats(out *bytes.Buffer, s Stats) {
	metrics.WriteGaugeUint64(out, "millrun_topics", uint64(s.Topics))
	metrics.WriteGaugeUint64(out, "millrun_partitions", uint64(s.Partitions))
	metrics.WriteGaugeUint64(out, "millrun_offline_partitions", uint64(s.OfflinePartitions))
	metrics.WriteGaugeUint64(out, "millrun_connections", uint64(s.Connections))
	metrics.WriteGaugeUint64(out, "millrun_queued_request_bytes", uint64(max(s.MemoryReserved, 0)))
	metrics.WriteCounterUint64(out, "millrun_requests_total", s.RequestsTotal)
	metrics.WriteCounterUint64(out, "millrun_produced_bytes_total", s.ProducedBytesTotal)
	metrics.WriteCounterUint64(out, "millrun_fetched_bytes_total", s.FetchedBytesTotal)
}
