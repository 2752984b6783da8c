package wasmhost

import (
	"encoding/binary"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/millrun/millrun/wasmhost/abi"
)

// The functions of Redpanda's ABI (spec/wasm-abi.md, section 11). check admits their
// imports only to modules that are run by pull.

func redpandaFuncs() []hostFunc {
	nothing := func(*Instance, api.Memory, []uint64) {}
	off := func(_ *Instance, _ api.Memory, stack []uint64) { answer(stack, abi.RegistryOff) }
	ten := i32 + i32 + i32 + i32 + i32 + i32 + i32 + i32 + i32 + i32
	return []hostFunc{
		{abi.ImportRedpanda, "check_abi_version_1", "", "", nothing},
		{abi.ImportRedpanda, "check_abi_version_2", "", "", nothing},
		{abi.ImportRedpanda, abi.ReadBatchHeader, ten, i32, readBatchHeader},
		{abi.ImportRedpanda, abi.ReadNextRecord, i32 + i32 + i32 + i32 + i32, i32, readNextRecord},
		{abi.ImportRedpanda, abi.WriteRecord, i32 + i32, i32, writeRecord},
		{abi.ImportRedpanda, abi.WriteRecordWithOptions, i32 + i32 + i32 + i32, i32, writeRecordWithOptions},

		{abi.ImportSchemaRegistry, "check_abi_version_0", "", "", nothing},
		{abi.ImportSchemaRegistry, "get_schema_definition_len", i32 + i32, i32, off},
		{abi.ImportSchemaRegistry, "get_schema_definition", i32 + i32 + i32, i32, off},
		{abi.ImportSchemaRegistry, "get_subject_schema_len", i32 + i32 + i32 + i32, i32, off},
		{abi.ImportSchemaRegistry, "get_subject_schema", i32 + i32 + i32 + i32 + i32, i32, off},
		{abi.ImportSchemaRegistry, "create_subject_schema", i32 + i32 + i32 + i32 + i32, i32, off},
	}
}

func answer(stack []uint64, code int32) { stack[0] = uint64(uint32(code)) }

// put writes the lower n (1, 2, 4 or 8) bytes of v at a guest's pointer; outside of memory stops the guest.
func put(mem api.Memory, what string, p, v uint64, n int) {
	b, le := view(mem, what, p, uint64(n)), binary.LittleEndian
	switch n {
	case 1:
		b[0] = byte(v)
	case 2:
		le.PutUint16(b, uint16(v))
	case 4:
		le.PutUint32(b, uint32(v))
	case 8:
		le.PutUint64(b, v)
	}
}

// pulling is the instance's pull. A start section runs before there is one.
func pulling(i *Instance) *pull {
	if i.pull == nil {
		panic(&guestPanic{Trap, "asked for records before " + abi.ExportStart})
	}
	return i.pull
}

// readBatchHeader ends the call, waits for the next one, and writes what its batch is
// like. It answers with the size of the largest payload.
func readBatchHeader(i *Instance, mem api.Memory, stack []uint64) {
	p := pulling(i)
	p.waitForBatch()
	h := &p.header
	for k, field := range [...]struct {
		v     int64
		bytes int
	}{
		{h.BaseOffset, 8}, {int64(h.RecordCount), 4}, {int64(h.PartitionLeaderEpoch), 4}, {int64(h.Attributes), 2},
		{int64(h.LastOffsetDelta), 4}, {h.BaseTimestamp, 8}, {h.MaxTimestamp, 8}, {h.ProducerID, 8}, {int64(h.ProducerEpoch), 2},
		{int64(h.BaseSequence), 4},
	} {
		put(mem, abi.ReadBatchHeader, stack[k], uint64(field.v), field.bytes)
	}
	answer(stack, int32(p.largest))
}

// readNextRecord copies the payload of the next record. A buffer that is too small
// leaves the record where it is.
func readNextRecord(i *Instance, mem api.Memory, stack []uint64) {
	p := pulling(i)
	buf := view(mem, abi.ReadNextRecord, stack[3], stack[4])
	if !p.active || p.left == 0 {
		answer(stack, abi.NoActiveTransform)
		return
	}
	row, ok := abi.ReadRowHead(p.rows)
	if !ok { // load has read it before
		panic(&guestPanic{Trap, fmt.Sprintf("%s: %v", abi.ReadNextRecord, abi.ErrInput)})
	}
	if row.Payload > len(buf) {
		answer(stack, abi.InvalidBuffer)
		return
	}
	i.allowance.handle(row.Payload)
	put(mem, abi.ReadNextRecord, stack[0], 0, 1) // attributes: records have none
	put(mem, abi.ReadNextRecord, stack[1], uint64(row.Timestamp), 8)
	put(mem, abi.ReadNextRecord, stack[2], uint64(i.where.BaseOffset+int64(row.OffsetDelta)), 8)
	abi.AppendPayload(buf[:0], p.rows[:row.Size])
	p.source = uint32(int(p.header.RecordCount) - p.left)
	p.rows, p.left, i.time.real = p.rows[row.Size:], p.left-1, row.Timestamp
	answer(stack, int32(row.Payload))
}

// writeRecord appends a record to the first output.
func writeRecord(i *Instance, mem api.Memory, stack []uint64) {
	answer(stack, pulling(i).write(i, view(mem, abi.WriteRecord, stack[0], stack[1]), 0))
}

// writeRecordWithOptions appends a record to the output that the options name.
func writeRecordWithOptions(i *Instance, mem api.Memory, stack []uint64) {
	data := view(mem, abi.WriteRecordWithOptions, stack[0], stack[1])
	topic, ok := abi.OutputTopic(view(mem, abi.WriteRecordWithOptions, stack[2], stack[3]))
	if !ok {
		answer(stack, abi.InvalidBuffer)
		return
	}
	output := 0
	if topic != nil {
		output = i.program.outputOf(topic)
	}
	answer(stack, pulling(i).write(i, data, output))
}

// outputOf is the index of a declared output, -1 if there is none of that name.
func (p *Program) outputOf(topic []byte) int {
	for n, name := range p.topics {
		if name == string(topic) {
			return n
		}
	}
	return -1
}

// write appends a payload as an output row and returns its length, or a code. What
// goes beyond the limit of a call's output ends the guest.
func (p *pull) write(i *Instance, payload []byte, output int) int32 {
	switch {
	case !p.active:
		return abi.NoActiveTransform
	case output < 0:
		return abi.InvalidTopic
	case len(payload) > p.most-len(p.out): // a row is longer than its payload
		panic(&guestPanic{BadOutput, fmt.Sprintf("wrote more than the %d bytes that this call may make", p.most)})
	}
	i.allowance.handle(len(payload))
	rows, ok := abi.AppendPayloadRow(p.out, payload, p.source, uint16(output))
	if !ok {
		return abi.InvalidBuffer
	}
	p.out = rows
	return int32(len(payload))
}
