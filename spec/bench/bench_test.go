//go:build unix

package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/broker"
)

// startNull runs the null broker in a temporary folder; it ends with the process.
func startNull(t *testing.T) *server {
	t.Helper()
	t.Chdir(t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	go runNullBroker(addr)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return &server{kind: "null", addr: addr, dir: "."}
		}
	}
	t.Fatal("the null broker does not listen")
	return nil
}

func startReal(t *testing.T) *server {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &server{kind: "millrun", addr: b.KafkaAddr(), dir: t.TempDir()}
}

func TestTheLoadIsStoredAndReadBackByEveryBroker(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *server{"null": startNull, "millrun": startReal} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			if err := s.createTopic("t", 2); err != nil {
				t.Fatal(err)
			}
			l := load{topic: "t", partitions: 2, connections: 2, inFlight: 3, records: 10, recordSize: 100, requests: 40}
			o, err := l.run(s)
			if err != nil {
				t.Fatal(err)
			}
			if o.requests != 40 || len(o.latencies) != 40 || o.bytes < 40*10*100 {
				t.Errorf("40 requests of 1,000 bytes and more: %d requests, %d latencies, %d bytes", o.requests, len(o.latencies), o.bytes)
			}
			read, err := fetchRun(s, "t", 2, 20*10*100)
			if err != nil {
				t.Fatal(err)
			}
			if read.bytes < 40*10*100 {
				t.Errorf("%d bytes were read back", read.bytes)
			}
			if err := s.deleteTopic("t"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRatiosAreTakenTurnByTurn(t *testing.T) {
	table := newTable("P0", "a measure")
	for i, figure := range []float64{10, 200, 30} {
		table.add("MB/s", "millrun", figure)
		table.add("MB/s", "kafka", []float64{5, 100, 30}[i])
	}
	var out strings.Builder
	table.print(&out)
	for _, want := range []string{"30.0", "2.00"} { // the medians of millrun, and of the ratios 2, 2, 1
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in\n%s", want, out.String())
		}
	}
}
