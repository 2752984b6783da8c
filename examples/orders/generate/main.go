// Command generate writes the order events that the demo and the examples read: orders.jsonl.gz beside its parent. The
// same seed gives the same bytes.
//
//	go run ./examples/orders/generate -out examples/orders/orders.jsonl.gz
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

type event struct {
	Event     string    `json:"event"`
	Order     string    `json:"order"`
	At        string    `json:"at"`
	Region    string    `json:"region"`
	Status    string    `json:"status"`
	Total     float64   `json:"total"`
	Currency  string    `json:"currency"`
	Customer  customer  `json:"customer"`
	Payment   *payment  `json:"payment,omitempty"`
	Items     []item    `json:"items"`
	Shipping  *shipping `json:"shipping,omitempty"`
	Note      string    `json:"note,omitempty"`
	Campaigns []string  `json:"campaigns"`
}

type customer struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Tier  string `json:"tier"`
}

type payment struct {
	Method string `json:"method"`
	Card   string `json:"card,omitempty"`
	Paid   bool   `json:"paid"`
}

type item struct {
	SKU      string  `json:"sku"`
	Title    string  `json:"title"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
}

type shipping struct {
	City     string `json:"city"`
	Postcode string `json:"postcode"`
	Express  bool   `json:"express"`
}

var (
	given   = []string{"Ada", "Bram", "Chidi", "Dalia", "Emre", "Fatou", "Goran", "Hana", "Ines", "Jonas", "Kaveh", "Léa", "Mbali", "Noor", "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tomás", "Ümit", "Vera", "Wen", "Yuki", "Zofia"}
	family  = []string{"Abe", "Bauer", "Costa", "Diallo", "Eriksen", "Fischer", "García", "Horvat", "Ito", "Jansen", "Kovács", "Lindqvist", "Moreau", "Nowak", "Okafor", "Petrov", "Rossi", "Silva", "Tanaka", "Weber"}
	regions = []string{"eu", "eu", "eu", "us", "us", "apac", "latam"}
	cities  = map[string][]string{"eu": {"Lyon", "Porto", "Graz", "Gdańsk", "Malmö"}, "us": {"Austin", "Boise", "Tulsa"}, "apac": {"Osaka", "Perth", "Busan"}, "latam": {"Lima", "Recife", "Rosario"}}
	money   = map[string]string{"eu": "EUR", "us": "USD", "apac": "JPY", "latam": "BRL"}
	goods   = []item{{"KB-104", "Keyboard, split", 0, 129}, {"MS-220", "Mouse, vertical", 0, 59.5}, {"LP-014", "Laptop stand", 0, 42.9}, {"HD-900", "Headphones, \"studio\"", 0, 249}, {"CB-003", "Cable USB-C 2 m", 0, 11.2}, {"MN-427", "Monitor 27\"", 0, 389}, {"WC-010", "Webcam", 0, 74.99}, {"DK-055", "Dock, 12 ports", 0, 199}, {"PD-001", "Desk pad", 0, 18}, {"LT-077", "Desk lamp", 0, 64}}
	notes   = []string{"", "", "", "", "leave with the neighbour", "gift — please wrap", "call 555-0134 first", "contact: reception@example.net", "ünïcode ✓", "second attempt"}
	stages  = []string{"placed", "paid", "packed", "shipped", "delivered"}
)

func main() {
	out := flag.String("out", "orders.jsonl.gz", "the file to write")
	orders := flag.Int("orders", 2400, "how many orders; each has one to five events")
	flag.Parse()
	if err := write(*out, *orders); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(path string, orders int) error {
	r := rand.New(rand.NewPCG(2026, 11))
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	at := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	for i := range orders {
		at = at.Add(time.Duration(r.IntN(90)) * time.Second)
		if err := writeOrder(e, r, i, at); err != nil {
			return err
		}
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, packed.Bytes(), 0o644)
}

// writeOrder writes an order's events in the order in which they happened; some orders are cancelled on the way.
func writeOrder(e *json.Encoder, r *rand.Rand, i int, at time.Time) error {
	v := newOrder(r, i)
	last := 1 + r.IntN(len(stages))
	for stage := range last {
		v.Event, v.Status = "order."+stages[stage], stages[stage]
		if stage > 0 && r.IntN(14) == 0 {
			v.Event, v.Status = "order.cancelled", "cancelled"
		}
		if v.Payment != nil {
			v.Payment.Paid = stage >= 1
		}
		v.At = at.Add(time.Duration(stage) * time.Hour).Format(time.RFC3339)
		if err := e.Encode(v); err != nil {
			return err
		}
		if v.Status == "cancelled" {
			break
		}
	}
	return nil
}

func newOrder(r *rand.Rand, i int) event {
	region := pick(r, regions)
	first, last := pick(r, given), pick(r, family)
	id := r.IntN(700)
	v := event{Order: fmt.Sprintf("o-%05d", i+1), Region: region, Currency: money[region], Note: pick(r, notes), Campaigns: []string{}}
	v.Customer = customer{ID: fmt.Sprintf("c-%03d", id), Name: first + " " + last, Email: fmt.Sprintf("user%03d@example.com", id), Tier: pick(r, []string{"basic", "basic", "plus", "gold"})}
	for range 1 + r.IntN(4) {
		it := pick(r, goods)
		it.Quantity = 1 + r.IntN(3)
		v.Items = append(v.Items, it)
		v.Total += it.Price * float64(it.Quantity)
	}
	v.Total = float64(int(v.Total*100+0.5)) / 100
	switch r.IntN(5) {
	case 0:
		v.Payment = &payment{Method: "transfer"}
	case 1: // paid on delivery: no payment yet
	default:
		v.Payment = &payment{Method: "card", Card: fmt.Sprintf("4000 %04d %04d %04d", r.IntN(10000), r.IntN(10000), r.IntN(10000))}
	}
	if r.IntN(8) > 0 {
		v.Shipping = &shipping{City: pick(r, cities[region]), Postcode: fmt.Sprintf("%05d", r.IntN(100000)), Express: r.IntN(4) == 0}
	}
	if r.IntN(6) == 0 {
		v.Campaigns = append(v.Campaigns, pick(r, []string{"spring", "newsletter", "return"}))
	}
	return v
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
