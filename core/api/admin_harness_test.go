package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
)

type memoryCluster struct {
	mu  sync.Mutex
	img *meta.Image
}

func (c *memoryCluster) Image() *meta.Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.img
}

func (c *memoryCluster) Change(ctx context.Context, decide func(*meta.Image) (meta.Command, error)) (*meta.Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	command, err := decide(c.img)
	if errors.Is(err, meta.ErrNothing) || err == nil && command == nil {
		return c.img, nil
	}
	if err != nil {
		return nil, err
	}
	next, err := meta.Apply(c.img, c.img.Seq()+1, command)
	c.img = next
	return next, err
}

func newAdminHandler(t *testing.T) *Handler {
	t.Helper()
	settings, _, err := config.ParseBroker(map[string]string{"node.id": "1"})
	if err != nil {
		t.Fatal(err)
	}
	c := &memoryCluster{img: &meta.Image{}}
	for _, command := range []meta.Command{
		&meta.SetCluster{ClusterID: "4L6g3nShT-eMCtK--X86sw"},
		&meta.RegisterBroker{Broker: meta.Broker{ID: 1, Incarnation: "a", Endpoints: []meta.Endpoint{{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: 29192, Security: "PLAINTEXT"}}}},
		&meta.ClaimController{Broker: 1, Incarnation: "a"},
	} {
		if _, err := c.Change(context.Background(), func(*meta.Image) (meta.Command, error) { return command, nil }); err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(Config{Cluster: c, Partitions: noPartitions{}, Settings: settings, NodeID: 1, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return h
}
