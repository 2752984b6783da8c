package transform_test

import (
	"context"
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
