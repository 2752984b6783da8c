package broker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func startTest(t *testing.T, c Config) *Broker {
	t.Helper()
	b, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTest(t, b) })
	return b
}

func closeTest(t *testing.T, b *Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func testClient(t *testing.T, b *Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.KafkaAddr()), kgo.AllowAutoTopicCreation()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAnEphemeralBrokerLeavesNothingBehind(t *testing.T) {
	b := startTest(t, Config{})
	if !b.Ephemeral() {
		t.Error("a broker without a data directory is ephemeral")
	}
	if err := testClient(t, b).ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	closeTest(t, b)
	if _, err := os.Stat(b.DataDir()); !os.IsNotExist(err) {
		t.Errorf("the folder %s is still there: %v", b.DataDir(), err)
	}
}

func TestWhatWasAcknowledgedIsThereAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	b := startTest(t, Config{DataDir: dir})
	client := testClient(t, b)
	for range 10 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	before, err := kadm.NewClient(client).ListTopics(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	closeTest(t, b)

	b = startTest(t, Config{DataDir: dir})
	admin := kadm.NewClient(testClient(t, b))
	after, err := admin.ListTopics(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if before["t"].ID != after["t"].ID {
		t.Errorf("the topic's id was %v and is %v", before["t"].ID, after["t"].ID)
	}
	ends, err := admin.ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	if sum != 10 {
		t.Errorf("10 records were acknowledged, %d are there", sum)
	}
}

func TestADirectoryThatTheMetadataDoesNotKnowIsSetAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	stranger := filepath.Join(dir, "stranger-0")
	if err := os.MkdirAll(stranger, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stranger, "00000000000000000000.log"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	startTest(t, Config{DataDir: dir})
	found := ""
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if text, readErr := os.ReadFile(path); err == nil && !d.IsDir() && readErr == nil && string(text) == "precious" {
			found = path
		}
		return nil
	})
	if err != nil || found == "" || strings.HasPrefix(found, stranger) {
		t.Errorf("what a strange directory holds is kept elsewhere: found at %q, %v", found, err)
	}
}

func TestABadConfigLeavesNoFolder(t *testing.T) {
	before, err := filepath.Glob(filepath.Join(os.TempDir(), "millrun-*"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"num.partitions":       {Settings: map[string]string{"num.partitions": "-5"}},
		"0.0.0.0:0":            {Kafka: "0.0.0.0:0"},
		"192.0.2.1:80":         {HTTP: "192.0.2.1:80"},
		"advertised.listeners": {Kafka: "0.0.0.0:0", Insecure: true},
		"SASL_SSL":             {Settings: map[string]string{"listeners": "SASL_SSL://127.0.0.1:0"}},
	} {
		_, err := Start(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: the error does not name %s: %v", c, name, err)
		}
	}
	after, err := filepath.Glob(filepath.Join(os.TempDir(), "millrun-*"))
	if err != nil || len(after) > len(before) {
		t.Errorf("folders are left: %v, %v", after, err)
	}
}

func TestTheDescribedBrokerIsTheOneThatRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	b := startTest(t, Config{DataDir: dir, Settings: map[string]string{"num.partitions": "7"}})
	described, err := kadm.NewClient(testClient(t, b)).DescribeBrokerConfigs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, c := range described[0].Configs {
		values[c.Key] = c.MaybeValue()
	}
	if values["log.dirs"] != dir || values["num.partitions"] != "7" {
		t.Errorf("log.dirs=%s, num.partitions=%s", values["log.dirs"], values["num.partitions"])
	}
}

func TestTheMetricsCountWhatClientsDid(t *testing.T) {
	b := startTest(t, Config{})
	client := testClient(t, b, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: make([]byte, 1000)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if f := client.PollFetches(t.Context()); f.NumRecords() != 1 {
		t.Fatalf("one record was produced, %d fetched: %v", f.NumRecords(), f.Err())
	}
	s := b.stats()
	if s.Topics != 1 || s.Partitions == 0 || s.Connections == 0 || s.RequestsTotal < 3 || s.ProducedBytesTotal < 61 || s.FetchedBytesTotal < 61 {
		t.Errorf("one record was produced and fetched: %+v", s)
	}
}
