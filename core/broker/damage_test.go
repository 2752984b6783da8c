package broker

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/transform"
)

// A damaged partition looks empty if nobody asks whether it works: a consumer would begin anew.
func TestDamageIsNeverTakenForAnEmptyPartition(t *testing.T) {
	dir := t.TempDir()
	b := startGroupBroker(t, dir)
	client := newClient(t, b)
	produceN(t, client, "t", 0, 10)
	offsets := kadm.Offsets{}
	offsets.AddOffset("t", 0, 3, -1)
	if r, err := kadm.NewClient(client).CommitOffsets(t.Context(), "g", offsets); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	stopBroker(t, b)
	logs, err := filepath.Glob(filepath.Join(dir, "*-*", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, path := range logs {
		info, err := os.Stat(path)
		if err == nil && info.Size() > 0 {
			err = os.Truncate(path, info.Size()-1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b = startGroupBroker(t, dir)
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 7, "g"
	resp, err := b.handler.Call(t.Context(), "test", "localhost", req)
	if err != nil {
		t.Fatal(err)
	}
	if code := resp.(*kmsg.OffsetFetchResponse).ErrorCode; code != kerr.CoordinatorNotAvailable.Code {
		t.Errorf("the group's offsets cannot be known, and the answer is %d with %+v", code, resp)
	}
	failed := 0
	for id := range int32(4) {
		if start, end, err := (records{b.store}).Offsets(transform.TopicPartition{Topic: "t", Partition: id}); errors.Is(err, replica.ErrStorage) {
			failed++
		} else if err != nil || start != end {
			t.Errorf("t-%d: %d to %d, %v", id, start, end, err)
		}
	}
	if failed == 0 {
		t.Error("no partition of t is known to be damaged")
	}
}

func TestAClientThatTakesNoResponseDoesNotMakeTheStopUnclean(t *testing.T) {
	dir := t.TempDir()
	b := startGroupBroker(t, dir)
	client := newClient(t, b, kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 16 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 900_000)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	conn, err := net.Dial("tcp", b.KafkaAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.ReplicaID = 11, 50<<20, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "t"
	for id := range int32(4) {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = id, 50<<20
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	for range 20 {
		if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond) // the first responses fill the socket
	closeWithin(t, b, 2*time.Second)
	if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err != nil {
		t.Errorf("no clean stop: %v", err)
	}
}

func closeWithin(t *testing.T, b *Broker, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	began := time.Now()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close after %v: %v", time.Since(began), err)
	}
}

func TestPartitionsAreNotSetAsideForMetadataThatIsLost(t *testing.T) {
	dir := t.TempDir()
	b := startGroupBroker(t, dir)
	produceN(t, newClient(t, b), "t", 0, 10)
	stopBroker(t, b)
	meta := filepath.Join(dir, "meta")
	if err := os.Rename(meta, meta+".away"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if b, err := Start(t.Context(), Config{DataDir: dir}); err == nil {
			stopBroker(t, b)
			t.Fatal("started as a new cluster")
		} else if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "restore the folder meta") {
			t.Errorf("error: %v", err)
		}
	}
	if err := errors.Join(os.RemoveAll(meta), os.Rename(meta+".away", meta)); err != nil {
		t.Fatal(err)
	}
	b = startGroupBroker(t, dir)
	ends, err := kadm.NewClient(newClient(t, b)).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	if sum != 10 {
		t.Errorf("%d of 10 records are there again", sum)
	}
}
