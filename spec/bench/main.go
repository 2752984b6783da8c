//go:build unix

// Command bench measures millrun beside Apache Kafka and beside a null broker (the smallest server that does only the
// unavoidable work), alternating between them in one run, and prints the medians of the ratios as a table.
//
//	go run ./spec/bench                     every case (about half an hour; Kafka needs Java 17 and Maven)
//	go run ./spec/bench -only P1,P4         some
//	go run ./spec/bench -without kafka      beside the null broker alone
//	go run ./spec/bench -only W2            Wasm guests by ABI and language beside native Go, without a broker: half a minute
//
// The cases and their goals are those of spec/goals.md. Absolute figures depend on the machine and on its mood; ratios
// hold, because the brokers take turns.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "null-broker" {
		if err := runNullBroker(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "null broker:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	only := flag.String("only", "", "the cases to run, with commas (default: all)")
	without := flag.String("without", "", "brokers to leave out, with commas: millrun, kafka, null")
	flag.IntVar(&o.pairs, "pairs", 5, "how often each broker takes its turn")
	flag.Float64Var(&o.scale, "scale", 1, "size of each run; 1 keeps a run under four seconds here")
	flag.StringVar(&o.millrun, "millrun", "", "a built binary (default: built now)")
	flag.StringVar(&o.workDir, "dir", "", "folder for the brokers' data (default: a temporary one)")
	flag.Parse()
	o.without = strings.Split(*without, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	pairs   int
	scale   float64
	millrun string
	workDir string
	without []string
}

// benchCase is one row of the goals.
type benchCase struct {
	name, what string
	run        func(ctx context.Context, b *bench) error
}

// needsBrokers tells whether a case starts any.
func (c benchCase) needsBrokers() bool { return c.name != "W2" }

// cases is the table of everything that can be measured.
func cases() []benchCase {
	return []benchCase{
		{"P1", "produce, 1 KiB records, 128 KiB batches, 4 connections, 4 partitions, 4 in flight each", produceLarge},
		{"P2", "produce, one 1 KiB record a request, 64 connections, 1 in flight", produceSmall},
		{"P3", "produce, 100 connections, 100 partitions, 16 KiB batches", produceMany},
		{"P4", "consume, 1 MiB fetches, 1 and 4 connections", consume},
		{"P6", "latency of one-record produces, open loop, 16 connections", latency},
		{"P7", "fsync before every ack, 16 producers of one record, 1 and 16 partitions", durable},
		{"P9", "exec to the first acknowledged produce", startUp},
		{"P10", "resident memory, idle and under load", memory},
		{"P12", "10,000 partitions: create, stop, start", partitions},
		{"W1", "latency of one-record produces, open loop at 1,000 a second, beside Wasm guests that take all they can get", guests},
		{"W2", "ns a record in guests, metered, by ABI and language, beside native Go that does the same with the same bytes; no broker", languages},
		{"P15", "a filter of 100 B records from batch to batch, beside kgo outside: consume, bytes.Contains, produce", filtering},
	}
}

func run(ctx context.Context, o options, only string) error {
	if o.workDir == "" {
		dir, err := os.MkdirTemp("", "millrun-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.workDir = dir
	}
	b := &bench{options: o}
	wanted := strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	chosen := slices.DeleteFunc(cases(), func(c benchCase) bool { return len(wanted) > 0 && !slices.Contains(wanted, c.name) })
	if slices.ContainsFunc(chosen, benchCase.needsBrokers) {
		if err := b.prepare(ctx); err != nil {
			return err
		}
	}
	for _, c := range chosen {
		b.table = newTable(c.name, c.what)
		if err := c.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		b.table.print(os.Stdout)
	}
	return nil
}

// bench is the machinery that the cases share.
type bench struct {
	options
	self    string // this binary, which is the null broker too
	table   *table
	started int
	procs   string // GOMAXPROCS of the next millrun that starts; empty: its own choice
}

func (b *bench) prepare(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.self = self
	if b.millrun == "" && b.takesPart("millrun") {
		b.millrun = filepath.Join(b.workDir, "millrun")
		if err := command(ctx, "go", "build", "-trimpath", "-o", b.millrun, "github.com/millrun/millrun/cli/millrun"); err != nil {
			return err
		}
	}
	if b.takesPart("kafka") {
		return command(ctx, peerScript(), "jars")
	}
	return nil
}

func (b *bench) takesPart(kind string) bool { return !slices.Contains(b.without, kind) }
