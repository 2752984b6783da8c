package orders_test

import (
	"encoding/json"
	"testing"

	"github.com/millrun/millrun/examples/orders"
)

func TestEveryEventIsAnOrderUnderItsKey(t *testing.T) {
	events, err := orders.Events()
	if err != nil {
		t.Fatal(err)
	}
	if len(events) < 5000 {
		t.Errorf("%d events, and thousands are promised", len(events))
	}
	status := map[string]int{}
	for i, e := range events {
		var v struct{ Order, Status, Region string }
		if err := json.Unmarshal(e.Value, &v); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if v.Order != string(e.Key) {
			t.Fatalf("event %d has key %s and order %s", i, e.Key, v.Order)
		}
		status[v.Status]++
	}
	for _, s := range []string{"placed", "paid", "packed", "shipped", "delivered", "cancelled"} {
		if status[s] < 100 {
			t.Errorf("%d events of status %s: the data is not varied", status[s], s)
		}
	}
}
