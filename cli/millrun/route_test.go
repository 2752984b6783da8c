//go:build !windows

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A transform's records go by the hash of their keys, as every Kafka client has it, or to the partition that they came from; and
// they take their keys, values, headers and timestamps with them.
func TestRoutedRecordsGoWhereTheirKeysOrPartitionsSay(t *testing.T) {
	skipIfShort(t)
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	for topic, partitions := range map[string]string{"in": "3", "reference": "7", "a-key": "7", "b-key": "7", "a-same": "5", "b-same": "5"} {
		must(t, p, "", "topic", "create", topic, "-p", partitions)
	}
	for _, how := range []string{"key", "same"} {
		must(t, p, "", "wasm", "deploy", "route", "--name", how, "--input", "in", "--output", "a-"+how+",b-"+how, "--partition", how,
			"--config", "field=kind", "--config", "routes=a:a-"+how+",b:b-"+how)
	}
	const n = 60
	var inputs, keys strings.Builder
	for i := range n {
		fmt.Fprintf(&inputs, `{"partition":%d,"timestamp":%d,"key":"key-%d","value":"{\"kind\":\"%c\",\"i\":%d}","headers":[{"key":"h","value":"%d"},{"key":"n","value":null}]}`+"\n",
			i%3, 1_700_000_000_000+i, i, "abc"[i%3], i, i)
		fmt.Fprintf(&keys, "key-%d=\n", i)
	}
	must(t, p, inputs.String(), "produce", "in", "-o", "json")
	must(t, p, keys.String(), "produce", "reference", "-K", "=") // where a client puts these keys
	placed := func(topic string) (partitions map[string]int32, rest map[string]string) {
		partitions, rest = map[string]int32{}, map[string]string{}
		for _, line := range lines(must(t, p, "", "consume", topic, "--exit", "-o", "json")) {
			v := decode[recordView](t, line)
			key := string(v.Key)
			if _, twice := partitions[key]; twice {
				t.Errorf("%s is twice in %s", key, topic)
			}
			partitions[key] = *v.Partition
			v.Topic, v.Partition, v.Offset = "", nil, nil
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			rest[key] = string(b)
		}
		return partitions, rest
	}
	hashed, _ := placed("reference")
	from, sent := placed("in")
	for _, how := range []string{"key", "same"} {
		awaitLag(t, p, how, 0)
		want := map[string]map[string]int32{"key": hashed, "same": from}[how]
		seen := 0
		for _, topic := range []string{"a-" + how, "b-" + how} {
			partitions, rest := placed(topic)
			for key, partition := range partitions {
				if partition != want[key] || rest[key] != sent[key] || !strings.Contains(rest[key], `\"kind\":\"`+topic[:1]) {
					t.Errorf("%s is in partition %d of %s, not %d, as %s, not %s", key, partition, topic, want[key], rest[key], sent[key])
				}
			}
			seen += len(partitions)
		}
		if seen != n/3*2 {
			t.Errorf("%d records were routed by %s, not %d", seen, how, n/3*2)
		}
	}
}
