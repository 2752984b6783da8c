package broker

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestSettingsChangedAtRunTimeAreInForceWhenAcknowledged(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := Start(ctx, Config{Settings: map[string]string{"num.partitions": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(ctx)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.KafkaAddr()), kgo.DefaultProduceTopic("a"), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	alter := func(c kadm.AlterConfig) {
		t.Helper()
		if r, err := adm.AlterBrokerConfigs(ctx, []kadm.AlterConfig{c}); err != nil || r[0].Err != nil {
			t.Fatalf("%s: %v, %v", c.Name, err, r)
		}
	}
	produce := func() error {
		return client.ProduceSync(ctx, kgo.StringRecord(strings.Repeat("x", 5000))).FirstErr()
	}
	if err := produce(); err != nil {
		t.Fatal(err)
	}
	alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "message.max.bytes", Value: kadm.StringPtr("2000")})
	if err := produce(); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("beyond the new limit: %v", err)
	}
	if r, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: kadm.StringPtr("9000")}}, "a"); err != nil || r[0].Err != nil {
		t.Fatal(err, r)
	}
	if err := produce(); err != nil {
		t.Errorf("within the topic's own limit: %v", err)
	}

	alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "max.connections.per.ip.overrides", Value: kadm.StringPtr("127.0.0.1:0")})
	if !isRefused(t, b.KafkaAddr()) {
		t.Error("a connection beyond the limit is served")
	}
	alter(kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "max.connections.per.ip.overrides"})
	if isRefused(t, b.KafkaAddr()) {
		t.Error("a connection within the limit is refused")
	}
}

// isRefused tells whether the broker closes a new connection at once.
func isRefused(t *testing.T, addr string) bool {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	var ne net.Error
	return !(errors.As(err, &ne) && ne.Timeout())
}

func TestUnknownSettingsKeepABrokerFromStarting(t *testing.T) {
	_, err := Start(context.Background(), Config{Settings: map[string]string{"num.partition": "1"}})
	if err == nil || !strings.Contains(err.Error(), "num.partitions") {
		t.Errorf("%v", err)
	}
}
