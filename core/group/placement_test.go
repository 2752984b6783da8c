package group

import "testing"

func TestGroupsArePlacedAsKafkaDoes(t *testing.T) {
	for _, c := range []struct {
		group string
		want  int32
	}{
		{"g1", 42},                    // where Kafka 4.3.1 wrote it, see spec/vectors/group
		{"", 0},                       // hash 0
		{"console-consumer-1", 24},    // hash 35782224, by Java
		{"polygenelubricants", 0},     // hash -2^31
		{"gr\u00fcppe\U0001F600", 13}, // hash 245262263: UTF-16 units
	} {
		if got := PartitionFor(c.group, 50); got != c.want {
			t.Errorf("%q: partition %d, want %d", c.group, got, c.want)
		}
	}
}
