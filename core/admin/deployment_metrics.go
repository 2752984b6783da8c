package admin

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/VictoriaMetrics/metrics"

	"github.com/millrun/millrun/core/transform"
)

// maxLagSeries bounds the series that have a topic and a partition in them, of all deployments together. A deployment whose
// partitions do not fit any more has the sum of its lag only.
const maxLagSeries = 10_000

// deploymentStates are all words of a deployment's state: each is a series that is 1 or 0, so that alerts need no join.
var deploymentStates = []string{"starting", "running", "paused", "stopped", "failed"}

// deploymentMetric is a gauge or a counter of every deployment.
type deploymentMetric struct {
	name  string
	value func(*transform.Status) float64
}

var deploymentGauges = []deploymentMetric{
	{"members", func(s *transform.Status) float64 { return float64(len(s.Members)) }},
	{"partitions", func(s *transform.Status) float64 { return float64(len(s.Partitions)) }},
	{"instances", func(s *transform.Status) float64 { return float64(s.Memory.Instances) }},
	{"memory_bytes", func(s *transform.Status) float64 { return float64(s.Memory.Bytes) }},
	{"ns_per_record", func(s *transform.Status) float64 { return s.Counters.NsPerRecord }},
	{"fuel_per_record", func(s *transform.Status) float64 { return s.Counters.FuelPerRecord }},
	{"last_error_timestamp_seconds", func(s *transform.Status) float64 {
		if s.LastError == nil {
			return 0
		}
		return float64(s.LastError.Time.UnixMilli()) / 1000
	}},
}

var deploymentCounters = []deploymentMetric{
	{"records_in", func(s *transform.Status) float64 { return float64(s.Counters.In) }},
	{"records_out", func(s *transform.Status) float64 { return float64(s.Counters.Out) }},
	{"records_dropped", func(s *transform.Status) float64 { return float64(s.Counters.Dropped) }},
	{"records_failed", func(s *transform.Status) float64 { return float64(s.Counters.Failed) }},
	{"retries", func(s *transform.Status) float64 { return float64(s.Counters.Retries) }},
	{"restarts", func(s *transform.Status) float64 { return float64(s.Counters.Restarts) }},
	{"bytes_in", func(s *transform.Status) float64 { return float64(s.Counters.BytesIn) }},
	{"bytes_out", func(s *transform.Status) float64 { return float64(s.Counters.BytesOut) }},
	{"fuel", func(s *transform.Status) float64 { return float64(s.Counters.Fuel) }},
	{"guest_seconds", func(s *transform.Status) float64 { return float64(s.Counters.GuestNs) / 1e9 }},
}

// writeDeployments writes the series of one name next to each other, as the format asks for.
func writeDeployments(out *bytes.Buffer, all []transform.Status) {
	for i := range all {
		for _, state := range deploymentStates {
			var on uint64
			if all[i].State == state {
				on = 1
			}
			metrics.WriteGaugeUint64(out, "millrun_wasm_state"+labels("deployment", all[i].Name, "state", state), on)
		}
	}
	for i := range all {
		m := &all[i].Module
		metrics.WriteGaugeUint64(out, "millrun_wasm_module_info"+
			labels("deployment", all[i].Name, "module", m.Name, "version", fmt.Sprint(m.Version), "sha256", m.SHA256), 1)
	}
	for _, m := range deploymentGauges {
		for i := range all {
			writeNumber(out, "millrun_wasm_"+m.name+labels("deployment", all[i].Name), m.value(&all[i]))
		}
	}
	for _, m := range deploymentCounters {
		for i := range all {
			writeNumber(out, "millrun_wasm_"+m.name+"_total"+labels("deployment", all[i].Name), m.value(&all[i]))
		}
	}
	writeRates(out, all)
	writeLags(out, all)
}

// writeNumber writes whole numbers without an exponent.
func writeNumber(out *bytes.Buffer, name string, v float64) {
	if v >= 0 && v < 1<<53 && v == math.Trunc(v) {
		metrics.WriteGaugeUint64(out, name, uint64(v))
		return
	}
	metrics.WriteGaugeFloat64(out, name, v)
}

func writeRates(out *bytes.Buffer, all []transform.Status) {
	for i := range all {
		r := &all[i].Rates
		for _, rate := range []struct {
			kind  string
			value float64
		}{{"in", r.In}, {"out", r.Out}, {"dropped", r.Dropped}, {"failed", r.Failed}} {
			metrics.WriteGaugeFloat64(out, "millrun_wasm_records_per_second"+labels("deployment", all[i].Name, "kind", rate.kind), rate.value)
		}
	}
}

// writeLags leaves out deployments whose partitions are not known now: their lag is not 0.
func writeLags(out *bytes.Buffer, all []transform.Status) {
	for i := range all {
		if len(all[i].Partitions) > 0 {
			metrics.WriteGaugeUint64(out, "millrun_wasm_lag"+labels("deployment", all[i].Name), uint64(all[i].Lag))
		}
	}
	written := 0
	for i := range all {
		if written += len(all[i].Partitions); written > maxLagSeries {
			return
		}
		for _, p := range all[i].Partitions {
			metrics.WriteGaugeUint64(out, "millrun_wasm_partition_lag"+
				labels("deployment", all[i].Name, "topic", p.Topic, "partition", fmt.Sprint(p.Partition)), uint64(p.Lag))
		}
	}
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// labels writes names and values as the format has them.
func labels(namesAndValues ...string) string {
	var b strings.Builder
	for i := 0; i < len(namesAndValues); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(namesAndValues[i] + `="` + labelEscaper.Replace(strings.ToValidUTF8(namesAndValues[i+1], "\uFFFD")) + `"`)
	}
	return b.String() + "}"
}
