// Command embed runs a broker inside a Go program, as a test would: no process to start, no port to choose, nothing left
// behind.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrun/millrun/core/broker"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	b, err := broker.Start(ctx, broker.Config{})
	if err != nil {
		return err
	}
	defer b.Close(ctx)

	client, err := kgo.NewClient(kgo.SeedBrokers(b.KafkaAddr()), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("greetings"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	for _, name := range []string{"Ada", "Emre", "Yuki"} {
		record := &kgo.Record{Topic: "greetings", Key: []byte("greeting"), Value: []byte("hello, " + name)}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return err
		}
	}
	for seen := 0; seen < 3; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			fmt.Fprintf(out, "%s-%d@%d %s\n", r.Topic, r.Partition, r.Offset, r.Value)
		})
	}
	return nil
}
