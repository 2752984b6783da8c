//go:build !windows

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/millrun/millrun/core/broker"
	"github.com/millrun/millrun/plugins"
)

// stopWithin bounds a clean stop; the broker gives up what is left after it.
const stopWithin = 2 * time.Second

// serveOptions is what the verbs that run a broker were told.
type serveOptions struct {
	verb, dataDir, kafka, http, readyFile, logLevel string
	settings                                        map[string]string
	insecure                                        bool
	stdout, stderr                                  io.Writer
}

// serve runs a broker until ctx ends, and stops it cleanly. The work, if there is one, runs beside it once requests are
// served; an error of the work ends the broker.
func serve(ctx context.Context, o serveOptions, work func(context.Context, *broker.Broker) error) (err error) {
	code := newCodeFolder()
	b, err := broker.Start(ctx, broker.Config{
		DataDir: o.dataDir, Kafka: o.kafka, HTTP: o.http, Settings: o.settings, Insecure: o.insecure,
		Runner: newRunner(code), Shipped: plugins.Module, Logger: newLogger(o.stderr, o.logLevel), Version: version(),
	})
	if err != nil {
		return err
	}
	code.in(b.DataDir())
	defer func() {
		stop, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if closeErr := b.Close(stop); err == nil {
			err = closeErr
		}
		if o.readyFile != "" {
			os.Remove(o.readyFile)
		}
	}()
	if o.readyFile != "" {
		if err := writeReadyFile(o.readyFile, b); err != nil {
			return err
		}
	}
	printServing(o, b)
	if work != nil {
		if err := work(ctx, b); err != nil && ctx.Err() == nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case <-b.Failed():
		return b.Err()
	}
}

func printServing(o serveOptions, b *broker.Broker) {
	fmt.Fprintf(o.stdout, "millrun %s serves Kafka clients on %s and HTTP on http://%s\n", o.verb, b.KafkaAddr(), b.HTTPAddr())
	if b.Ephemeral() {
		fmt.Fprintf(o.stdout, "data in %s, removed at exit (--data DIR keeps it)\n", b.DataDir())
	} else {
		fmt.Fprintf(o.stdout, "data in %s\n", b.DataDir())
	}
}

// writeReadyFile writes the addresses by rename, so that who finds the file finds it whole.
func writeReadyFile(path string, b *broker.Broker) error {
	content, err := json.Marshal(map[string]any{"kafka": b.KafkaAddr(), "http": "http://" + b.HTTPAddr(), "pid": os.Getpid()})
	if err != nil {
		return err
	}
	partial, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("--ready-file %s: %w", path, err)
	}
	defer os.Remove(partial.Name())
	if _, err := partial.Write(append(content, '\n')); err != nil {
		partial.Close()
		return fmt.Errorf("--ready-file %s: %w", path, err)
	}
	if err := partial.Close(); err != nil {
		return fmt.Errorf("--ready-file %s: %w", path, err)
	}
	return os.Rename(partial.Name(), path)
}

// newLogger writes warnings and errors; MILLRUN_LOG=debug or info asks for more.
func newLogger(w io.Writer, level string) *slog.Logger {
	threshold := slog.LevelWarn
	if level != "" {
		if err := threshold.UnmarshalText([]byte(level)); err != nil {
			threshold = slog.LevelWarn
		}
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: threshold}))
}
