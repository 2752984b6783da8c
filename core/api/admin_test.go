package api

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// step is a request and what a fresh Apache Kafka 4.3.1 with one broker (id 1, ELR off) answered, in the order in which they were
// sent. Key -1 stands for ten records produced to cap-0.
type step struct {
	Name     string
	Key      int16
	Version  int16
	Request  []byte
	Response json.RawMessage
}

// otherwise are the steps, by name or, with *, by how their names begin, that we answer otherwise than Kafka, and why.
var otherwise = []struct{ name, why string }{
	{"ct collide", "Kafka lets two names that collide pass in one request"},
	{"ct bad", "the message does not speak of cordoned log directories"},
	{"cp nope", "the message names the topic"},
	{"cp bad", "the message names the topic"},
	{"cp v0", "the message names the topic"},
	{"cp big", "Kafka answers UNKNOWN_SERVER_ERROR where its own limit of partitions is passed"},
	{"dr dup", "Kafka answers a topic that is named twice once"},
	{"dld all", "there is no k_1: see ct collide"},
	{"dld v1", "there is no k_1: see ct collide"},
	{"dcf t3", "the message names the type"},
	{"dcf logger", "there are no loggers to be set by name"},
	{"alter 8 \"1\" op 0 kafka*", "there are no loggers to be set by name"},
	{"alter 8 \"1\" op 1 root=null", "there are no loggers to be set by name"},
	{"alter 2 \"cap\" op 9*", "Kafka answers UNKNOWN_SERVER_ERROR"},
	{"alter 4 \"1\" op 0 num.io.threads=1000", "there are no threads whose number could double"},
	{"alter 4 \"\" op 0 listeners*", "listeners cannot change at run time here, and the message says so"},
	{"alter 4 \"1\" op 0 listeners=x", "listeners cannot change at run time here, and the message says so"},
	{"qc group", "no settings of groups are stored"},
	{"alter 32 \"g\" op 0 consumer.session.timeout.ms=50000", "no settings of groups are stored"},
	{"alter 16*", "no settings of client metrics subscriptions are stored"},
}

func TestAdminRequestsAreAnsweredAsKafkaDoes(t *testing.T) {
	b, err := os.ReadFile("../../spec/vectors/api/admin.json")
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	if err := json.Unmarshal(b, &steps); err != nil {
		t.Fatal(err)
	}
	broker := startBroker(t, "num.partitions", "1")
	h := broker.handler
	for _, s := range steps {
		if s.Key == -1 {
			produceTen(t, broker)
			continue
		}
		req := kmsg.RequestForKey(s.Key)
		req.SetVersion(s.Version)
		if err := req.ReadFrom(s.Request); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		resp, err := h.Call(context.Background(), "test", "/127.0.0.1", req)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		differ := normal(t, overTheWire(t, req, resp)) != normal(t, s.Response)
		i := slices.IndexFunc(otherwise, func(o struct{ name, why string }) bool {
			prefix, isPrefix := strings.CutSuffix(o.name, "*")
			return s.Name == o.name || isPrefix && strings.HasPrefix(s.Name, prefix)
		})
		switch {
		case differ && i < 0:
			t.Errorf("%s\n  got  %s\n  want %s", s.Name, normal(t, overTheWire(t, req, resp)), normal(t, s.Response))
		case !differ && i >= 0:
			t.Errorf("%s: answered as Kafka does, although %s", s.Name, otherwise[i].why)
		}
	}
}

func produceTen(t *testing.T, b *testBroker) {
	p, ok := b.Get("cap", 0)
	if !ok {
		t.Fatal("no cap-0")
	}
	for range 10 {
		if _, err := p.Append(batch("x"), appendOptions); err != nil {
			t.Fatal(err)
		}
	}
}

// overTheWire encodes a response, decodes it as a client does and returns it as JSON.
func overTheWire(t *testing.T, req kmsg.Request, resp kmsg.Response) []byte {
	t.Helper()
	resp.SetVersion(req.GetVersion())
	decoded := req.ResponseKind()
	if err := decoded.ReadFrom(resp.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// normal brings a response into a form in which two brokers' can be compared: ids that are random are hidden, lists without an order
// are sorted, null and empty lists are the same.
func normal(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(normalValue("", v))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

var (
	// unordered are the lists whose order means nothing.
	unordered = []string{"Topics", "Configs", "Brokers", "Partitions"}
	// ofTheMachine are numbers and names that differ from place to place.
	ofTheMachine = []string{"Port", "Dir", "TotalBytes", "UsableBytes"}
)

func normalValue(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "UnknownTags")
		for k, x := range v {
			v[k] = normalValue(k, x)
			if slices.Contains(ofTheMachine, k) && x != -1.0 && x != "" {
				v[k] = "some"
			}
		}
	case []any:
		if name == "TopicID" {
			if slices.ContainsFunc(v, func(x any) bool { return x != 0.0 }) {
				return "some id"
			}
			return "no id"
		}
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = normalValue("", v[i])
		}
		if slices.Contains(unordered, name) {
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(text(a), text(b)) })
		}
	}
	return v
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
