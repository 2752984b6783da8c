package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestResponsesComeInTheOrderOfTheRequests(t *testing.T) {
	h := &testHandler{gate: make(chan struct{})}
	_, addr := start(t, h, DefaultLimits())
	c := dial(t, addr)
	var all []byte
	for i := range int32(40) {
		key := int16(keyEcho)
		if i%4 == 0 {
			key = keyHold
		}
		all = append(all, frame(key, i, fmt.Append(nil, "request ", i))...)
	}
	send(t, c, all)
	go func() {
		for range 10 {
			h.gate <- struct{}{}
		}
	}()
	for i := range int32(40) {
		if id, body := receive(t, c); id != i || string(body) != fmt.Sprint("request ", i) {
			t.Fatalf("response %d is %d: %q", i, id, body)
		}
	}
}

func TestRequestsMayComeInAnyPiecesAndSizes(t *testing.T) {
	_, addr := start(t, &testHandler{}, DefaultLimits())
	c := dial(t, addr)
	for i, size := range []int{0, 1, 4070, 4080, 4096, 5000, 1 << 16, 1<<16 + 1, 1 << 20, 5 << 20, 300, 5 << 20} {
		body := bytes.Repeat([]byte{byte(i)}, size)
		b := frame(keyEcho, int32(i), body)
		for _, piece := range [][]byte{b[:3], b[3:9], b[9:11], b[11:]} {
			send(t, c, piece)
			if size < 5000 {
				time.Sleep(time.Millisecond) // so that they arrive one by one
			}
		}
		if id, got := receive(t, c); id != int32(i) || !bytes.Equal(got, body) {
			t.Fatalf("request of %d bytes came back as %d of %d bytes", size, id, len(got))
		}
	}
}

func TestARequestWithoutResponseLeavesNoGap(t *testing.T) {
	_, addr := start(t, &testHandler{}, DefaultLimits())
	c := dial(t, addr)
	send(t, c, slices.Concat(frame(keySilent, 1, nil), frame(keyEcho, 2, nil), frame(keySilent, 3, nil), frame(keyEcho, 4, nil)))
	for _, want := range []int32{2, 4} {
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, not %d", id, want)
		}
	}
}

func TestAnUnservedKeyClosesTheConnectionAfterEarlierAnswers(t *testing.T) {
	h := &testHandler{gate: make(chan struct{}, 1)}
	_, addr := start(t, h, DefaultLimits())
	c := dial(t, addr)
	send(t, c, slices.Concat(frame(keyHold, 1, nil), frame(keyEcho, 2, nil), frame(99, 3, nil), frame(keyEcho, 4, nil)))
	h.gate <- struct{}{}
	for _, want := range []int32{1, 2} {
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, not %d", id, want)
		}
	}
	expectClosed(t, c)
	serves(t, addr)
}

func TestALastResponseIsWrittenBeforeTheConnectionCloses(t *testing.T) {
	_, addr := start(t, &testHandler{}, DefaultLimits())
	c := dial(t, addr)
	send(t, c, slices.Concat(frame(keyLast, 1, nil), frame(keyEcho, 2, nil)))
	if id, _ := receive(t, c); id != 1 {
		t.Fatalf("response %d", id)
	}
	expectClosed(t, c)
}

func TestAPanicCostsItsConnectionOnly(t *testing.T) {
	_, addr := start(t, &testHandler{}, DefaultLimits())
	for _, key := range []int16{keyPanic, keyBigWait} {
		other := dial(t, addr)
		c := dial(t, addr)
		send(t, c, frame(key, 1, nil))
		expectClosed(t, c)
		send(t, other, frame(keyEcho, 2, nil))
		receive(t, other)
	}
}

func TestADisconnectCancelsWhatWaits(t *testing.T) {
	h := &testHandler{gate: make(chan struct{}), ended: make(chan struct{}, 1)}
	s, addr := start(t, h, DefaultLimits())
	c := dial(t, addr)
	send(t, c, frame(keyHold, 1, nil))
	eventually(t, "a request held", func() bool { return s.QueuedBytes() > 0 })
	c.Close()
	select {
	case <-h.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the wait goes on")
	}
	eventually(t, "all is given back", func() bool { return s.QueuedBytes() == 0 && s.Connections() == 0 })
}

func TestAFullQueueStopsTheReader(t *testing.T) {
	limits := DefaultLimits()
	limits.QueuedRequests = 3
	h := &testHandler{gate: make(chan struct{}), handled: make(chan int16, 100)}
	_, addr := start(t, h, limits)
	c := dial(t, addr)
	for i := range int32(10) {
		send(t, c, frame(keyHold, i, nil))
	}
	for range 4 { // three in the queue, one handled that waits for a place
		<-h.handled
	}
	select {
	case <-h.handled:
		t.Fatal("a fifth request was read")
	case <-time.After(50 * time.Millisecond):
	}
	close(h.gate)
	for i := range int32(10) {
		if id, _ := receive(t, c); id != i {
			t.Fatalf("response %d, not %d", id, i)
		}
	}
}

func TestHalfAFrameIsGivenUp(t *testing.T) {
	limits := DefaultLimits()
	limits.PartialFrame = 30 * time.Millisecond
	s, addr := start(t, &testHandler{}, limits)
	whole := frame(keyEcho, 1, make([]byte, 100_000))
	for _, n := range []int{1, 3, 4, 5, 11, 12, 100, 70_000, len(whole) - 1} {
		c := dial(t, addr)
		send(t, c, whole[:n])
		expectClosed(t, c)
	}
	eventually(t, "all is given back", func() bool { return s.QueuedBytes() == 0 && s.Connections() == 0 })
	serves(t, addr)
}

func TestIdleConnectionsAreClosedAndWaitingOnesAreNot(t *testing.T) {
	limits := DefaultLimits()
	limits.Idle = 400 * time.Millisecond
	h := &testHandler{gate: make(chan struct{}, 1), ended: make(chan struct{}, 1)}
	_, addr := start(t, h, limits)
	waiting, idle := dial(t, addr), dial(t, addr)
	send(t, waiting, frame(keyHold, 5, nil))
	expectClosed(t, idle)
	time.Sleep(2 * limits.Idle)
	h.gate <- struct{}{}
	if id, _ := receive(t, waiting); id != 5 {
		t.Fatalf("response %d", id)
	}
}

func TestAPeerThatTakesNoResponsesIsClosed(t *testing.T) {
	limits := DefaultLimits()
	limits.Idle = 80 * time.Millisecond
	s, addr := start(t, &testHandler{}, limits)
	c := dial(t, addr)
	go func() {
		b := frame(keyEcho, 1, make([]byte, 1<<20))
		for {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}()
	eventually(t, "a connection", func() bool { return s.Connections() == 1 })
	eventually(t, "the connection is closed", func() bool { return s.Connections() == 0 && s.QueuedBytes() == 0 })
}

func TestAPeerThatTakesNoResponsesIsClosedSoonerWhenMemoryIsShort(t *testing.T) {
	for _, starved := range []bool{true, false} {
		limits := DefaultLimits()
		limits.PartialFrame = 500 * time.Millisecond // a busy machine takes a while for each MiB
		s, addr := start(t, &testHandler{starved: starved}, limits)
		c := dial(t, addr)
		go c.Write(frame(keyEcho, 1, make([]byte, 16<<20)))
		eventually(t, "an answer is under way", func() bool { return s.QueuedBytes() > 16<<20 })
		if starved {
			eventually(t, "the connection is closed", func() bool { return s.Connections() == 0 })
			continue
		}
		time.Sleep(3 * limits.PartialFrame)
		if s.Connections() != 1 {
			t.Fatal("the connection was closed without need")
		}
	}
}

func TestADisconnectCancelsWhatWaitsBehindTheLastRequestToo(t *testing.T) {
	h := &testHandler{gate: make(chan struct{}), ended: make(chan struct{}, 1)}
	s, addr := start(t, h, DefaultLimits())
	c := dial(t, addr)
	send(t, c, slices.Concat(frame(keyHold, 1, nil), frame(99, 2, nil), frame(keyEcho, 3, nil)))
	eventually(t, "a request held", func() bool { return s.QueuedBytes() > 0 })
	time.Sleep(5 * time.Millisecond)
	c.Close()
	select {
	case <-h.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the wait goes on")
	}
	eventually(t, "all is given back", func() bool { return s.QueuedBytes() == 0 && s.Connections() == 0 })
}

func TestFramesBeyondTheirLimitsAreRefused(t *testing.T) {
	limits := DefaultLimits()
	limits.FrameBytes = 10_000
	_, addr := start(t, &testHandler{}, limits)
	for _, b := range [][]byte{
		frame(keyEcho, 1, make([]byte, 10_000)),
		frame(keySmall, 1, make([]byte, 1020)),
		{0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0}, // a negative length
		{0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0},
		{0x7f, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0},
		{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, // too short for a header
		{0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0, 0},
		{0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0},               // no client id
		{0, 0, 0, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0x7f, 0xff},  // a client id longer than the frame
		{0, 0, 0, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xfe},  // of a negative length
		{0, 0, 0, 10, 0, 1, 0, 1, 0, 0, 0, 0, 0xff, 0xff},  // no tagged fields
		{'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P'}, // another protocol
	} {
		c := dial(t, addr)
		send(t, c, b)
		expectClosed(t, c)
	}
	serves(t, addr)
}

func TestFramesBeforeAuthenticationAreSmall(t *testing.T) {
	s, err := New(Config{Handler: &authHandler{}, Limits: DefaultLimits(), Logger: discard(), Authenticate: true})
	if err != nil {
		t.Fatal(err)
	}
	addr := listen(t, s)
	c := dial(t, addr)
	send(t, c, frame(keyEcho, 1, make([]byte, 70_000)))
	expectClosed(t, c)
	c = dial(t, addr)
	send(t, c, slices.Concat(frame(keyEcho, 1, make([]byte, 60_000)), frame(keyLast, 2, nil), frame(keyEcho, 3, make([]byte, 70_000))))
	for want := int32(1); want <= 3; want++ {
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, not %d", id, want)
		}
	}
}

// authHandler takes keyLast for a proof of identity.
type authHandler struct{ testHandler }

func (h *authHandler) Handle(ctx context.Context, r *Request) Pending {
	if r.Key == keyLast {
		r.Conn.SetAuthenticated()
	}
	return Ready(Response{Frame: echo(r)})
}

func TestConnectionsAreLimitedInAllAndForOneAddress(t *testing.T) {
	for _, set := range []func(*Limits){
		func(l *Limits) { l.Connections = 2 },
		func(l *Limits) { l.ConnectionsPerIP = 2 },
		func(l *Limits) { l.PerIP = map[string]int{"127.0.0.1": 2} },
	} {
		limits := DefaultLimits()
		set(&limits)
		s, addr := start(t, &testHandler{}, limits)
		first, second := dial(t, addr), dial(t, addr)
		eventually(t, "two connections", func() bool { return s.Connections() == 2 })
		expectClosed(t, dial(t, addr))
		first.Close()
		eventually(t, "one connection", func() bool { return s.Connections() == 1 })
		serves(t, addr)
		send(t, second, frame(keyEcho, 1, nil))
		receive(t, second)
		eventually(t, "one connection", func() bool { return s.Connections() == 1 })
		s.SetConnectionLimits(ConnectionLimits{Connections: 1, ConnectionsPerIP: 10, ConnectionRate: 100})
		expectClosed(t, dial(t, addr))
	}
}

func TestConnectionsBeyondTheirRateWaitForTheNextSecond(t *testing.T) {
	limits := DefaultLimits()
	limits.ConnectionRate = 2
	s, _ := start(t, &testHandler{}, limits)
	now := 1000*time.Second + 300*time.Millisecond
	for i, want := range []time.Duration{0, 0, 700e6, 700e6, 1700e6} {
		if got := max(s.tooFast(now), 0); got != want {
			t.Fatalf("connection %d waits %v, not %v", i, got, want)
		}
	}
	if got := s.tooFast(1005 * time.Second); got > 0 {
		t.Fatalf("later it waits %v", got)
	}
}

// Twenty announced frames of 100 MB make a Kafka deaf.
func TestAnnouncedBytesTakeNoMemoryBeforeTheyArrive(t *testing.T) {
	s, addr := start(t, &testHandler{}, DefaultLimits())
	before := heap()
	head := frame(keyEcho, 1, nil)
	binary.BigEndian.PutUint32(head, 100<<20)
	for range 200 {
		send(t, dial(t, addr), head)
	}
	eventually(t, "their headers are read", func() bool { return s.Connections() == 200 && s.QueuedBytes() >= 200*firstBytes*9/10 })
	if grown := heap() - before; grown > 64<<20 {
		t.Fatalf("200 announced frames hold %d MiB", grown>>20)
	}
	serves(t, addr)
	c := dial(t, addr)
	send(t, c, frame(keyEcho, 5, make([]byte, 3<<20)))
	receive(t, c)
}

func TestMoreLargeFramesThanTheBudgetHoldsPassOneAfterTheOther(t *testing.T) {
	limits := DefaultLimits()
	limits.QueuedBytes = 2 << 20
	s, addr := start(t, &testHandler{}, limits)
	var clients sync.WaitGroup
	for i := range int32(6) {
		clients.Add(1)
		go func() {
			defer clients.Done()
			c := dial(t, addr)
			for range 3 {
				key := []int16{keyEcho, keyHeavy}[i%2]
				go c.Write(frame(key, i, make([]byte, 3<<20)))
				if id, body := receive(t, c); id != i || len(body) != 3<<20 {
					t.Errorf("response %d of %d bytes", id, len(body))
				}
			}
		}()
	}
	clients.Wait()
	// A client may have its last answer before the server has given the request's bytes back.
	eventually(t, "all is given back", func() bool { return s.QueuedBytes() == 0 })
}

func TestSilentConnectionsCostLittle(t *testing.T) {
	const n = 1000
	s, addr := start(t, &testHandler{}, DefaultLimits())
	serves(t, addr)
	before := heap()
	for range n {
		c := dial(t, addr)
		send(t, c, frame(keyEcho, 1, make([]byte, 1000)))
		receive(t, c)
	}
	if s.Connections() < n {
		t.Fatalf("%d connections", s.Connections())
	}
	// The clients' half of the memory is counted too.
	if each := (heap() - before) / n; each > 16<<10 {
		t.Fatalf("%d bytes for each idle connection", each)
	} else {
		t.Logf("%d bytes for each idle connection", each)
	}
}

func TestCloseEndsWaitsAndWritesWhatIsReady(t *testing.T) {
	h := &testHandler{gate: make(chan struct{}), ended: make(chan struct{}, 1)}
	s, addr := start(t, h, DefaultLimits())
	c, idle := dial(t, addr), dial(t, addr)
	send(t, c, slices.Concat(frame(keyHold, 1, nil), frame(keyEcho, 2, nil)))
	eventually(t, "both are read", func() bool { return s.QueuedBytes() == 2*int64(len(frame(keyHold, 1, nil))-4) })
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int32{1, 2} {
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, not %d", id, want)
		}
	}
	expectClosed(t, c)
	expectClosed(t, idle)
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Fatal("it still listens")
	}
}

func TestCloseDoesNotWaitBeyondItsContext(t *testing.T) {
	s, addr := start(t, &testHandler{}, DefaultLimits())
	c := dial(t, addr)
	go c.Write(frame(keyEcho, 1, make([]byte, 64<<20))) // whose answer nobody reads
	eventually(t, "the answer is under way", func() bool { return s.QueuedBytes() > 60<<20 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if n := s.Connections(); n != 0 {
		t.Fatalf("%d connections are left", n)
	}
}

// heap is the memory that goroutines and objects take after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
