// Package target is the broker under test, as the environment names it, and the load that every client puts on it.
package target

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Patience bounds whatever a case waits for. It is long because the machine may be slow: no case waits for time to pass.
const Patience = 90 * time.Second

// Bootstrap is host:port of the broker. A test that needs it is skipped where there is none.
func Bootstrap(t testing.TB) string { return need(t, "MILLRUN_BOOTSTRAP") }

// Binary is the path of the millrun command, and skips the test against another broker, whose HTTP address is not known.
func Binary(t testing.TB) string {
	need(t, "MILLRUN_HTTP")
	return need(t, "MILLRUN")
}

func need(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skipf("%s is not set: spec/conformance/run starts a broker and sets it", name)
	}
	return v
}

// Context ends with the test, or when patience does.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

var names atomic.Int64 // one broker serves all packages' processes at once: names carry the process and a number

// Name makes a name from the test's own that no other test has.
func Name(t testing.TB) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
	return clean + "-" + itoa(int64(os.Getpid())) + "-" + itoa(names.Add(1))
}

// Admin is a client for what surrounds a case: it makes topics and looks at what the case left.
func Admin(t testing.TB) *kadm.Client {
	t.Helper()
	cl, err := kadm.NewOptClient(kgo.SeedBrokers(Bootstrap(t)), kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// Topic makes a topic with a name of its own; configs are name, value, name, value.
func Topic(t testing.TB, partitions int32, configs ...string) string {
	t.Helper()
	set := map[string]*string{}
	for i := 0; i+1 < len(configs); i += 2 {
		set[configs[i]] = &configs[i+1]
	}
	name := Name(t)
	if _, err := Admin(t).CreateTopic(Context(t), partitions, 1, set, name); err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
	return name
}

// CheckCommitted demands that the group has committed the end of every partition of the topic.
func CheckCommitted(t testing.TB, group, topic string) {
	t.Helper()
	ctx, adm := Context(t), Admin(t)
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := adm.FetchOffsets(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		at, ok := committed.Lookup(topic, end.Partition)
		if end.Err != nil || !ok || at.At != end.Offset {
			t.Errorf("%s partition %d: group %s has committed %d (found: %t), the end is %d (error: %v)", topic, end.Partition, group, at.At, ok, end.Offset, end.Err)
		}
	})
}
