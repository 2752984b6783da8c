//go:build !cgo

package confluent

import "testing"

func TestLibrdkafkaIsBoundByCgo(t *testing.T) {
	t.Skip("confluent-kafka-go binds librdkafka: it needs CGO_ENABLED=1 and a C compiler")
}
