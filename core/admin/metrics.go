package admin

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/VictoriaMetrics/metrics"

	"github.com/millrun/millrun/core/transform"
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
	all, err := h.Deployments.List(r.Context())
	if err != nil {
		// The broker's own numbers are wanted most when something does not work.
		h.Logger.Warn("metrics are without the deployments", "error", err)
	}
	for i := range all {
		writeDeployment(&out, &all[i])
	}
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

// deploymentStates are all words of a deployment's state: each is a series that is 1 or 0, so that alerts need no join.
var deploymentStates = []string{"starting", "running", "paused", "stopped", "failed"}

func writeDeployment(out *bytes.Buffer, d *transform.Summary) {
	label := fmt.Sprintf("{deployment=%q}", d.Name)
	for _, state := range deploymentStates {
		var on uint64
		if d.State == state {
			on = 1
		}
		metrics.WriteGaugeUint64(out, fmt.Sprintf("millrun_wasm_state{deployment=%q,state=%q}", d.Name, state), on)
	}
	metrics.WriteGaugeUint64(out, "millrun_wasm_lag"+label, uint64(d.Lag))
	metrics.WriteGaugeUint64(out, "millrun_wasm_members"+label, uint64(len(d.Members)))
	metrics.WriteGaugeFloat64(out, "millrun_wasm_ns_per_record"+label, d.Counters.NsPerRecord)
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"records_in", d.Counters.In}, {"records_out", d.Counters.Out}, {"records_dropped", d.Counters.Dropped},
		{"records_failed", d.Counters.Failed}, {"retries", d.Counters.Retries}, {"restarts", d.Counters.Restarts},
		{"bytes_in", d.Counters.BytesIn}, {"bytes_out", d.Counters.BytesOut},
	} {
		metrics.WriteCounterUint64(out, "millrun_wasm_"+c.name+"_total"+label, uint64(c.value))
	}
}
