package server

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// The keys that the tests' handler serves.
const (
	keyEcho    = 1 // answers its body at once
	keyHold    = 2 // waits for the test's gate, or its context
	keySilent  = 3 // has no response
	keyPanic   = 4
	keyLast    = 5 // answers, and closes the connection
	keyBigWait = 6 // panics while it waits
	keySmall   = 7 // serves frames up to 1 KiB only
	keyHeavy   = 8 // takes eight times its size of the budget
)

// testHandler echoes.
type testHandler struct {
	handled chan int16 // every request, if not nil
	gate    chan struct{}
	ended   chan struct{} // holds that were cancelled
	starved bool
}

func (h *testHandler) Starved() bool { return h.starved }

func (h *testHandler) Inspect(key, version int16) Shape {
	s := Shape{Served: key >= keyEcho && key <= keyHeavy, Flexible: version > 0}
	switch key {
	case keySmall:
		s.MaxBytes = 1024
	case keyHeavy:
		s.Weight = 8
	}
	return s
}

func (h *testHandler) Handle(_ context.Context, r *Request) Pending {
	if h.handled != nil {
		h.handled <- r.Key
	}
	switch r.Key {
	case keySilent:
		return Ready(Response{})
	case keyPanic:
		panic("as asked")
	case keyLast:
		return Ready(Response{Frame: echo(r), Close: true})
	case keyBigWait:
		return Pending{Wait: func(context.Context) Response { panic("as asked") }}
	case keyHold:
		return Pending{Wait: func(ctx context.Context) Response {
			select {
			case <-h.gate:
			case <-ctx.Done():
				h.ended <- struct{}{}
			}
			return Response{Frame: echo(r)}
		}}
	}
	return Ready(Response{Frame: echo(r)})
}

func echo(r *Request) *Buffer {
	b := r.Conn.Buffer(8 + len(r.Body))
	b.B = append(b.B, 0, 0, 0, 0)
	b.B = binary.BigEndian.AppendUint32(b.B, uint32(r.CorrelationID))
	b.B = append(b.B, r.Body...)
	return b
}

// start serves h on a loopback port until the test ends.
func start(t testing.TB, h Handler, limits Limits) (*Server, string) {
	t.Helper()
	s, err := New(Config{Handler: h, Limits: limits, Logger: slog.New(slog.DiscardHandler), ListenerName: "PLAINTEXT"})
	if err != nil {
		t.Fatal(err)
	}
	return s, listen(t, s)
}

func listen(t testing.TB, s *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil && err != ErrClosed {
			t.Errorf("Close: %v", err)
		}
		if err := <-done; err != ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// frame is a request of version 0 by a client called "t".
func frame(key int16, correlation int32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+3+len(body)))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = append(b, 0, 1, 't')
	return append(b, body...)
}

func send(t testing.TB, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// receive reads one response.
func receive(t testing.TB, c net.Conn) (correlation int32, body []byte) {
	t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:]
}

// expectClosed fails unless the server ends the connection without another word.
func expectClosed(t testing.TB, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || err == nil {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatal("the connection is still open")
	}
}

// serves fails unless a new connection is answered.
func serves(t testing.TB, addr string) {
	t.Helper()
	c := dial(t, addr)
	send(t, c, frame(keyEcho, 77, []byte("are you there")))
	if id, body := receive(t, c); id != 77 || string(body) != "are you there" {
		t.Fatalf("answered %d %q", id, body)
	}
	c.Close()
}

// eventually waits for a condition that another goroutine is about to bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
