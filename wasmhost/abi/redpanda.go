package abi

// Redpanda's ABI: a command whose main function asks for batches, one after the
// other, and reads and writes their records itself. spec/wasm-abi.md, section 11.
const (
	ImportRedpanda       = "redpanda_transform"
	ImportSchemaRegistry = "redpanda_schema_registry"

	ReadBatchHeader        = "read_batch_header"         // ten pointers i32 -> i32
	ReadNextRecord         = "read_next_record"          // (attributes, timestamp, offset, buf, len i32) -> i32
	WriteRecord            = "write_record"              // (data, len i32) -> i32
	WriteRecordWithOptions = "write_record_with_options" // (data, len, options, len i32) -> i32
)

// What these functions answer instead of a length.
const (
	NoActiveTransform = -1 // there is no batch, or no record is left in it
	InvalidBuffer     = -2 // too small to read into, or what was written is malformed
	InvalidTopic      = -3 // not among the outputs that were declared
)

// RegistryOff is what every function of the schema registry answers.
const RegistryOff = -1

// What such a guest finds in its environment, beside its configuration. A number
// follows the prefix of the outputs, as with EnvOutputTopic.
const (
	EnvRedpanda       = "REDPANDA_" // what begins so is not the user's
	EnvRedpandaInput  = "REDPANDA_INPUT_TOPIC"
	EnvRedpandaOutput = "REDPANDA_OUTPUT_TOPIC_"
)

// BatchHeader is what a guest learns of a batch, in the order and the widths of
// the memory that it points at.
type BatchHeader struct {
	BaseOffset           int64
	RecordCount          int32
	PartitionLeaderEpoch int32
	Attributes           int16
	LastOffsetDelta      int32
	BaseTimestamp        int64
	MaxTimestamp         int64
	ProducerID           int64
	ProducerEpoch        int16
	BaseSequence         int32
}
