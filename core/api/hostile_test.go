package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/server"
)

// request frames a body as a request of a key and version.
func request(key, version int16, body []byte) []byte {
	req := kmsg.RequestForKey(key)
	b := binary.BigEndian.AppendUint32(nil, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 1, 0, 1, 'h')
	if req != nil {
		if req.SetVersion(version); req.IsFlexible() {
			b = append(b, 0)
		}
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// stillServes fails unless a new connection is served.
func (b *testBroker) stillServes() {
	b.t.Helper()
	c := b.dial()
	do[*kmsg.ApiVersionsResponse](c, apiVersionsRequest("kgo", "1"), 3)
	c.Close()
}

func TestUnknownKeysAndVersionsCloseTheConnection(t *testing.T) {
	b := startBroker(t)
	for _, kv := range [][2]int16{{-1, 0}, {4, 0}, {7, 0}, {999, 0}, {32767, 0}, {-32768, 0}, {0, 2}, {0, 14}, {0, -1}, {1, 3}, {1, 19}, {3, 14}, {3, -1}, {19, 1}} {
		c := b.dial()
		c.Write(request(kv[0], kv[1], nil))
		c.expectClosed()
	}
	b.stillServes()
}

// The announced counts are as large as the bytes that follow seem to bear: decoders that believe them make arrays of a hundred
// times the request's size, or count to four thousand million.
func TestLyingCountsTakeNeitherMemoryNorTime(t *testing.T) {
	b := startBroker(t)
	const size = 256 << 10
	for _, a := range table() {
		for _, version := range []int16{a.min, a.max} {
			for name, fill := range map[string]func() []byte{
				"zeros":        func() []byte { return make([]byte, size) },
				"ones":         func() []byte { return bytes.Repeat([]byte{1}, size) },
				"large counts": func() []byte { return bytes.Repeat([]byte{0x80, 0x80, 0x08, 0}, size/4) },
				"huge counts":  func() []byte { return bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, size/5) },
				"int32 counts": func() []byte { return bytes.Repeat([]byte{0, 3, 0xff, 0}, size/4) },
				"tags":         func() []byte { return bytes.Repeat([]byte{2, 1, 2, 0xff, 0xff, 3}, size/6) },
			} {
				body := fill()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := time.Now()
				c := b.dial()
				c.Write(request(a.key, version, body))
				c.Read(make([]byte, 1))
				c.Close()
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; took > 8*size {
					t.Errorf("%s v%d, %s: %d KiB for a request of %d", a.name, version, name, took>>10, size>>10)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("%s v%d, %s: %v", a.name, version, name, took)
				}
			}
		}
	}
	b.stillServes()
}

// Every key at every version, with fields of every value: each is answered or costs its connection, and nothing breaks.
func TestAnyRequestIsAnsweredOrRefused(t *testing.T) {
	b := startBroker(t)
	b.createTopic("abc", 2)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, a := range table() {
		for version := a.min; version <= a.max; version++ {
			for range 3 {
				req := kmsg.RequestForKey(a.key)
				req.SetVersion(version)
				fill(reflect.ValueOf(req).Elem(), rng, 0)
				body := req.AppendTo(nil)
				if a.key == 1 {
					binary.BigEndian.PutUint32(body[4*b2i(version < 15):], 5) // waits 5 ms
				}
				for i := 0; i < len(body); i += 1 + len(body)/4 { // whole, and with some bytes changed
					c := b.dial()
					c.Write(request(a.key, version, body))
					c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // a member of a group may wait for others
					io.ReadFull(c, make([]byte, 4))
					c.Close()
					body[rng.IntN(len(body))] ^= byte(1 << rng.IntN(8))
				}
			}
		}
	}
	b.stillServes()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// FuzzDispatch hands any body of any key to the handler, as a connection does.
func FuzzDispatch(f *testing.F) {
	for _, a := range table() {
		for version := a.min; version <= a.max; version++ {
			req := kmsg.RequestForKey(a.key)
			req.SetVersion(version)
			f.Add(a.key, version, req.AppendTo(nil))
		}
	}
	b := startBroker(f)
	b.createTopic("abc", 1)
	h := b.handler
	h.cfg.Logger = slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		shape := h.Inspect(key, version)
		if !shape.Served {
			return
		}
		r := &server.Request{Key: key, Version: version, Flexible: shape.Flexible, Body: bytes.Clone(body)}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		p := h.Handle(ctx, r)
		resp := p.Response
		if p.Wait != nil {
			resp = p.Wait(ctx)
		}
		if resp.Frame == nil {
			return
		}
		answer := bytes.Clone(resp.Frame.B[responseHeaderSize(r):])
		for _, part := range resp.Parts {
			answer = append(answer, part...)
		}
		if resp.Done != nil {
			resp.Done()
		}
		decoded := kmsg.ResponseForKey(key)
		decoded.SetVersion(version)
		if shape.Opaque {
			decoded.SetVersion(0)
		}
		if err := decoded.ReadFrom(answer); err != nil {
			t.Fatalf("%s v%d answered %x: %v", kmsg.NameForKey(key), version, answer, err)
		}
	})
}
