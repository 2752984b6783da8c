// Package redpanda runs modules that were made with Redpanda's own SDKs in the broker, deployed by Redpanda's own client of
// the admin API. The guests are in guest (Go) and rust (Rust), and do the same.
package redpanda

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/common-go/rpadmin"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how long something may take that has to come about.
const patience = time.Minute

// broker is the broker under test, from the environment.
type broker struct {
	*testing.T
	kafka, http string
	admin       *rpadmin.AdminAPI
	client      *kgo.Client
	topics      *kadm.Client
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{T: t, kafka: os.Getenv("MILLRUN_BOOTSTRAP"), http: os.Getenv("MILLRUN_HTTP")}
	if b.kafka == "" || b.http == "" {
		t.Skip("MILLRUN_BOOTSTRAP and MILLRUN_HTTP name no broker: run spec/conformance/run redpanda")
	}
	var err error
	if b.admin, err = rpadmin.NewAdminAPI([]string{b.http}, &rpadmin.NopAuth{}, nil); err != nil {
		t.Fatal(err)
	}
	if b.client, err = kgo.NewClient(kgo.SeedBrokers(b.kafka), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	b.topics = kadm.NewClient(b.client)
	return b
}

func (b *broker) createTopics(names ...string) {
	b.Helper()
	for _, name := range names {
		if _, err := b.topics.CreateTopic(b.Context(), 2, 1, nil, name); err != nil {
			b.Fatal(name, err)
		}
	}
}

// produce writes records with these values to partition 0, each with a key, a header and a timestamp.
func (b *broker) produce(topic string, values ...string) {
	b.Helper()
	var records []*kgo.Record
	for n, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(v), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(n)),
			Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "null"}}})
	}
	if err := b.client.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
		b.Fatal(err)
	}
}

// read returns the first n records of a topic, and fails if there are not that many in time.
func (b *broker) read(topic string, n int) []*kgo.Record {
	b.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.kafka), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.UnknownTopicRetries(-1))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		records = append(records, c.PollFetches(ctx).Records()...)
		if ctx.Err() != nil {
			b.Fatalf("%s has %d records, not %d: %v", topic, len(records), n, records)
		}
	}
	return records
}

// values are the records' values, "null" for none.
func values(records []*kgo.Record) (all []string) {
	for _, r := range records {
		v := "null"
		if r.Value != nil {
			v = string(r.Value)
		}
		all = append(all, v)
	}
	return all
}

// deployment is what our own API says of a deployment, as far as it is looked at.
type deployment struct {
	State, Reason string
	Lag           int64
	Counters      struct{ In, Out, Dropped, Failed int64 }
}

// until waits until a deployment is as it should be.
func (b *broker) until(name, what string, ok func(d deployment) bool) deployment {
	b.Helper()
	var d deployment
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(b.http + "/v1/deployments/" + name)
		if err != nil {
			b.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&d)
		_ = resp.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		if ok(d) {
			return d
		}
	}
	b.Fatalf("%s is not %s: %+v", name, what, d)
	return d
}

func running(d deployment) bool { return d.State == "running" }

// millrun runs the command line and returns what it prints.
func (b *broker) millrun(args ...string) (string, error) {
	b.Helper()
	binary := os.Getenv("MILLRUN")
	if binary == "" {
		b.Skip("MILLRUN names no binary")
	}
	out, err := exec.CommandContext(b.Context(), binary, args...).CombinedOutput()
	return string(out), err
}

// guests builds each guest once: its path by language.
var guests = map[string]func() (string, error){
	"go":   sync.OnceValues(buildGo),
	"rust": sync.OnceValues(buildRust),
}

func cache() string { return filepath.Join(os.Getenv("CONFORMANCE_CACHE"), "redpanda") }

func buildGo() (string, error) {
	file := filepath.Join(cache(), "guest-go.wasm")
	c := exec.Command("go", "build", "-o", file, "./guest")
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	return file, run(c)
}

func buildRust() (string, error) {
	c := exec.Command("cargo", "build", "--offline", "--release", "--target", "wasm32-wasip1")
	c.Dir, c.Env = "rust", append(os.Environ(), "CARGO_TARGET_DIR="+filepath.Join(cache(), "target"))
	return filepath.Join(cache(), "target", "wasm32-wasip1", "release", "guest.wasm"), run(c)
}

func run(c *exec.Cmd) error {
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		return &buildError{strings.Join(c.Args, " "), err, said.String()}
	}
	return nil
}

type buildError struct {
	command string
	err     error
	said    string
}

func (e *buildError) Error() string { return e.command + ": " + e.err.Error() + "\n" + e.said }

// eachGuest runs a test with the guest of each language.
func eachGuest(t *testing.T, test func(b *broker, file, language string)) {
	for language, build := range guests {
		t.Run(language, func(t *testing.T) {
			b := newBroker(t)
			if language == "rust" && os.Getenv("REDPANDA_RUST") == "no" {
				t.Skip("the Rust SDK cannot be built here (the suite's check says why)")
			}
			file, err := build()
			if err != nil {
				t.Fatal(err)
			}
			test(b, file, language)
		})
	}
}
