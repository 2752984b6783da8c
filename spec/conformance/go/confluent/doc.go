// Package confluent runs confluent-kafka-go, that is librdkafka, against the broker. Without cgo there is nothing to run.
package confluent
