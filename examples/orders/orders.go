// Package orders holds the sample data that the demo and the examples run on: the life of 2,400 web-shop orders as
// events, one JSON object each.
package orders

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed orders.jsonl.gz
var packed []byte

// Event is one event with the key that it is produced under, the order's number.
type Event struct {
	Key, Value []byte
}

// Events returns all events in the order in which they happened.
func Events() ([]Event, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("orders.jsonl.gz: %w", err)
	}
	var events []Event
	for lines := bufio.NewScanner(z); ; {
		if !lines.Scan() {
			return events, lines.Err()
		}
		var head struct {
			Order string `json:"order"`
		}
		if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
			return nil, fmt.Errorf("orders.jsonl.gz: line %d: %w", len(events)+1, err)
		}
		events = append(events, Event{Key: []byte(head.Order), Value: bytes.Clone(lines.Bytes())})
	}
}
