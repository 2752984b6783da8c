package wasmhost

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/tetratelabs/wazero/api"

	"github.com/millrun/millrun/wasmhost/abi"
)

const (
	clockRealtime = 0
	tickNanos     = 1_000 // the monotonic clock moves by this at each look
	seedHead      = 64    // bytes of the input that a call's random numbers follow from
)

// guestTime is a guest's clocks. The real-time clock stands at the call's base
// timestamp, or that of the record which the guest has read itself; the monotonic one advances whenever it is looked at or waited for.
type guestTime struct {
	real      int64 // ms
	monotonic uint64
}

func (t *guestTime) wait(clock uint32, nanos uint64, absolute bool) {
	switch {
	case clock == clockRealtime && absolute: // the record's time is long past or does not move: no waiting
	case absolute:
		t.monotonic = max(t.monotonic, nanos)
	case nanos <= math.MaxUint64-t.monotonic:
		t.monotonic += nanos
	}
}

func wasiClockTime(i *Instance, mem api.Memory, a []uint64) uint64 {
	i.time.monotonic += tickNanos
	now := i.time.monotonic
	switch clock := uint32(a[0]); {
	case clock > 3:
		return wasiInval
	case clock == clockRealtime:
		now = uint64(min(max(i.time.real, 0), math.MaxInt64/1_000_000)) * 1_000_000
	}
	if !mem.WriteUint64Le(uint32(a[2]), now) {
		return wasiFault
	}
	return wasiOK
}

func wasiClockRes(_ *Instance, mem api.Memory, a []uint64) uint64 {
	resolution := uint64(tickNanos)
	switch clock := uint32(a[0]); {
	case clock > 3:
		return wasiInval
	case clock == clockRealtime:
		resolution = 1_000_000
	}
	if !mem.WriteUint64Le(uint32(a[1]), resolution) {
		return wasiFault
	}
	return wasiOK
}

// wasiRandom fills a buffer with numbers that follow from the records of the call,
// so that a call that is tried again gives the same; while the guest starts they
// are the same for every instance. They are no secret.
func wasiRandom(i *Instance, mem api.Memory, a []uint64) uint64 {
	b, ok := mem.Read(uint32(a[0]), uint32(a[1]))
	if !ok {
		return wasiFault
	}
	if i.random == nil {
		i.random = rand.NewChaCha8(seed(i.call, i.head))
	}
	for len(b) > 0 {
		part := b[:min(len(b), handledBytes)]
		i.allowance.handle(len(part))
		_, _ = i.random.Read(part) // never fails
		b = b[len(part):]
	}
	return wasiOK
}

func seed(call *abi.Call, head []byte) [32]byte {
	b := []byte("millrun\x00")
	if call != nil {
		b = call.AppendContext(b)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(head)))
		b = append(b, head...)
	}
	return sha256.Sum256(b)
}
