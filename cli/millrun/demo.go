//go:build !windows

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/broker"
	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/examples/orders"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "run everything at once on sample data: a broker, order events, two modules at work",
		Flags: devCommand().Flags,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o, err := devOptions(c)
			if err != nil {
				return err
			}
			d := &demo{out: c.App.Writer}
			if isTerminal(c.App.Writer) {
				d.screen = &screen{out: c.App.Writer}
				if isTerminal(o.stderr) {
					o.stderr = d.screen
				}
			}
			return serve(c.Context, o, func(ctx context.Context, b *broker.Broker) error {
				d.broker = b
				return d.run(ctx)
			})
		},
	}
}

// The demo's topic and its two deployments.
const (
	demoInput    = "orders"
	demoRate     = 1500 // events a second while the sample is loaded
	demoInterval = 500 * time.Millisecond
)

func demoDeployments() []transform.DeploySpec {
	return []transform.DeploySpec{
		{Name: "paid-orders", Module: "filter", Input: []string{demoInput}, Output: []string{"orders-paid"}, From: "earliest", CreateOutputs: true,
			Config: map[string]string{"field": "payment.paid", "op": "eq", "value": "true"}},
		{Name: "no-personal-data", Module: "redact", Input: []string{demoInput}, Output: []string{"orders-redacted"}, From: "earliest", CreateOutputs: true,
			Config: map[string]string{"mask": "customer.name", "hash": "customer.email", "patterns": "card,email"}},
	}
}

// demo loads the sample into a broker and shows what its deployments make of it.
type demo struct {
	broker *broker.Broker
	out    io.Writer
	screen *screen // where the table is drawn over itself; nil: plain lines
	last   map[string]int64
	lastAt time.Time
}

func (d *demo) run(ctx context.Context) error {
	events, err := orders.Events()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(d.broker.KafkaAddr()), kgo.ClientID("millrun-demo"), kgo.DefaultProduceTopic(demoInput),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerLinger(20*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, 4, 1, nil, demoInput); err != nil && !strings.Contains(err.Error(), "exists") {
		return fmt.Errorf("topic %s: %w", demoInput, err)
	}
	for _, spec := range demoDeployments() {
		if err := d.deploy(ctx, spec); err != nil {
			return fmt.Errorf("deployment %s: %w", spec.Name, err)
		}
		fmt.Fprintf(d.out, "deployed %s: module %s %s\n", spec.Name, spec.Module, deployRoute(spec))
	}
	fmt.Fprintf(d.out, "loading %d order events into topic %s\n\n", len(events), demoInput)
	loaded := make(chan error, 1)
	go func() { loaded <- load(ctx, client, events) }()
	return d.watch(ctx, admin, loaded)
}

// deploy asks the broker's own HTTP side, as the deploy verb does. A deployment that is there from an earlier run stays.
func (d *demo) deploy(ctx context.Context, spec transform.DeploySpec) error {
	body, contentType, err := deployBody(spec, nil)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.broker.HTTPAddr()+"/v1/deployments", body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusConflict {
		return err
	}
	return fmt.Errorf("%s", bytes.TrimSpace(text))
}

// load produces the events at the demo's rate, so that there is something to watch.
func load(ctx context.Context, client *kgo.Client, events []orders.Event) error {
	results := make(chan error, len(events))
	began := time.Now()
	for i, e := range events {
		if wait := time.Until(began.Add(time.Duration(i) * time.Second / demoRate)); wait > 10*time.Millisecond {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil
			}
		}
		client.Produce(ctx, &kgo.Record{Key: e.Key, Value: e.Value}, func(_ *kgo.Record, err error) { results <- err })
	}
	for range events {
		if err := <-results; err != nil {
			return fmt.Errorf("topic %s: %w", demoInput, err)
		}
	}
	return nil
}

// watch shows the state until everything is loaded and processed, then says what one can do, and waits for ctx.
func (d *demo) watch(ctx context.Context, admin *kadm.Client, loaded <-chan error) error {
	tick := time.NewTicker(demoInterval)
	defer tick.Stop()
	done := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-loaded:
			if err != nil && ctx.Err() == nil {
				return err
			}
			done, loaded = true, nil
		case <-tick.C:
			lag, err := d.show(ctx, admin)
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			if done && lag == 0 {
				d.printNext()
				<-ctx.Done()
				return nil
			}
		}
	}
}

func (d *demo) show(ctx context.Context, admin *kadm.Client) (lag int64, err error) {
	list, err := d.deployments(ctx)
	if err != nil {
		return 0, err
	}
	topics := []string{demoInput}
	for _, s := range list {
		topics = append(topics, s.Outputs...)
	}
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return 0, err
	}
	now := map[string]int64{}
	for topic, partitions := range ends {
		for _, p := range partitions {
			now[topic] += p.Offset
		}
	}
	for _, s := range list {
		lag += s.Lag
	}
	if d.screen != nil {
		err = d.screen.draw(d.table(list, topics, now))
	} else {
		d.printLine(list, topics, now)
	}
	d.last, d.lastAt = now, time.Now()
	return lag, err
}

func (d *demo) deployments(ctx context.Context) ([]transform.Summary, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.broker.HTTPAddr()+"/v1/deployments", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list []transform.Summary
	return list, json.NewDecoder(resp.Body).Decode(&list)
}

// rate is how many records a second a topic has grown by since the last look.
func (d *demo) rate(topic string, now int64) float64 {
	if d.lastAt.IsZero() {
		return 0
	}
	return float64(now-d.last[topic]) / time.Since(d.lastAt).Seconds()
}

func (d *demo) table(list []transform.Summary, topics []string, now map[string]int64) []byte {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tRECORDS\tPER SECOND\t")
	for _, t := range topics {
		fmt.Fprintf(w, "%s\t%d\t%.0f\t\n", t, now[t], d.rate(t, now[t]))
	}
	w.Flush()
	fmt.Fprintln(&text)
	// A buffer takes everything.
	_ = printDeployments(&text, list, time.Now(), widthOf(d.out))
	return text.Bytes()
}

func (d *demo) printLine(list []transform.Summary, topics []string, now map[string]int64) {
	var parts []string
	for _, t := range topics {
		parts = append(parts, fmt.Sprintf("%s %d (%.0f/s)", t, now[t], d.rate(t, now[t])))
	}
	for _, s := range list {
		parts = append(parts, fmt.Sprintf("%s %s lag %d", s.Name, s.State, s.Lag))
	}
	fmt.Fprintln(d.out, strings.Join(parts, "  "))
}

func (d *demo) printNext() {
	if d.screen != nil {
		d.screen.leave()
	}
	b, h := d.broker.KafkaAddr(), d.broker.HTTPAddr()
	fmt.Fprintf(d.out, "\nall events are processed. The broker runs until Ctrl-C; in another terminal, try:\n"+
		"  millrun consume orders-redacted -n 3 -b %s\n"+
		"  millrun group describe paid-orders -b %s\n"+
		"  millrun wasm describe no-personal-data --http %s\n"+
		"  kcat -b %s -t orders-paid -C -e -c 3\n", b, b, h, b)
}
