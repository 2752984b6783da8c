package transform

import (
	"encoding/json"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/wasmhost/abi"
)

// RedpandaLogsTopic is where the lines of Redpanda's modules go, in the shape that its own tools read: key = deployment,
// value = OTelLogRecord as JSON.
const RedpandaLogsTopic = "_redpanda.transform_logs"

// OTelLogRecord is a LogRecord of OpenTelemetry's logs protocol in JSON, as far as Redpanda fills it in.
type OTelLogRecord struct {
	Body           OTelValue       `json:"body"`
	TimeUnixNano   int64           `json:"timeUnixNano"`
	SeverityNumber int             `json:"severityNumber"` // 5 debug, 9 info, 13 warn, 17 error
	Attributes     []OTelAttribute `json:"attributes"`     // transform_name and node
}

// OTelValue is a value of either type.
type OTelValue struct {
	String *string `json:"stringValue,omitempty"`
	Int    *int64  `json:"intValue,omitempty"`
}

// OTelAttribute is one attribute of a record.
type OTelAttribute struct {
	Key   string    `json:"key"`
	Value OTelValue `json:"value"`
}

var severities = map[int]int{abi.LevelDebug: 5, abi.LevelInfo: 9, abi.LevelWarn: 13, abi.LevelError: 17}

// Line is the record as our own topic would have it; it does not tell the partition.
func (r *OTelLogRecord) Line() LogLine {
	line := LogLine{Partition: noPartition, Level: abi.LevelName(abi.LevelError)}
	if r.Body.String != nil {
		line.Message = *r.Body.String
	}
	for level, severity := range severities {
		if severity == r.SeverityNumber {
			line.Level = abi.LevelName(level)
		}
	}
	return line
}

// redpandaValue is the line as Redpanda would write it.
func (l *guestLine) redpandaValue(node meta.NodeID) ([]byte, error) {
	id := int64(node)
	return json.Marshal(OTelLogRecord{
		Body: OTelValue{String: &l.Message}, TimeUnixNano: l.Time.UnixNano(), SeverityNumber: severities[l.level],
		Attributes: []OTelAttribute{{"transform_name", OTelValue{String: &l.Deployment}}, {"node", OTelValue{Int: &id}}},
	})
}

// isLogsTopic tells whether guests' lines go there: a module that reads it would feed itself.
func isLogsTopic(topic string) bool { return topic == LogsTopic || topic == RedpandaLogsTopic }
