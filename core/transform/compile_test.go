package transform_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrun/millrun/core/broker"
	"github.com/millrun/millrun/core/transform"
)

func TestABrokerThatStopsDoesNotWaitForACompiler(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("d"))
	n.stop()

	var compiling atomic.Bool
	begun, compiled := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context, s transform.Spec) (transform.Program, error) {
		if compiling.CompareAndSwap(false, true) {
			close(begun)
		}
		<-compiled // whatever ctx says, as a compiler does
		return goRunner(ctx, s)
	}
	b, err := broker.Start(t.Context(), broker.Config{DataDir: dir, Runner: slow})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("the broker waited for the compiler: %v", err)
	}
	close(compiled)
}

// waits is a Runner that takes as long as its caller lets it.
func waits(begun chan<- struct{}) transform.Runner {
	return func(ctx context.Context, _ transform.Spec) (transform.Program, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
}

func TestABrokerThatStopsInterruptsWhoCompiles(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("d"))
	n.stop()

	begun := make(chan struct{}, 2)
	b, err := broker.Start(t.Context(), broker.Config{DataDir: dir, Runner: waits(begun),
		Shipped: func(name string) ([]byte, bool) { return []byte(name), true }})
	if err != nil {
		t.Fatal(err)
	}
	<-begun // for the deployment that is there
	spec, err := json.Marshal(filterSpec("e"))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Post("http://"+b.HTTPAddr()+"/v1/deployments", "application/json", bytes.NewReader(spec))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode/100 == 2 {
				err = errors.New(resp.Status)
			}
		}
		answered <- err
	}()
	<-begun // for the one that is asked for
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Close(ctx); err != nil { // would be that half of the minute is over
		t.Errorf("the broker waited for a compiler: %v", err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	n = startNode(t, dir)
	n.until("d", "running", func(s transform.Status) bool { return s.State == "running" })
	if code := n.http("GET", "/v1/deployments/e", nil, nil); code != http.StatusNotFound {
		t.Errorf("what was not deployed is there: %d", code)
	}
}
