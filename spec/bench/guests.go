//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/millrun/millrun/plugins/hostile"
)

// beside is what runs in a broker while its clients are measured.
type beside struct {
	column string
	deploy []string // arguments of two deployments; nil: none
	procs  string   // GOMAXPROCS; empty: as millrun sets it
}

// guests measures what Wasm guests that take all they can get cost the clients of the same broker: one-record produces at
// a fixed rate, on topics that no guest reads. There are as many guests as make two cores busy. A guest that spins burns its whole
// 30 s on one record, and is tried again for ever; one that redacts
// looks for card numbers and addresses in a gigabyte, and writes all of it again. (The shipped filter is through in a second.)
func guests(ctx context.Context, b *bench) error {
	if !b.takesPart("millrun") {
		return nil
	}
	spin, err := hostile.Module("spin")
	if err != nil {
		return err
	}
	module := filepath.Join(b.workDir, "spin.wasm")
	if err := os.WriteFile(module, spin, 0o644); err != nil {
		return err
	}
	cores := strconv.Itoa(runtime.NumCPU())
	spins := []string{module, "--input", "w1-one", "--timeout", "30s", "--retries", "1000000"}
	redacts := []string{"redact", "--input", "w1-many", "--config", "patterns=card,email"}
	kinds := []beside{
		{"no guests", nil, ""}, {"2 spin", spins, ""}, {"2 redact", redacts, ""},
		{"2 spin, procs=cores", spins, cores}, {"2 redact, procs=cores", redacts, cores},
	}
	servers := make([]*server, len(kinds))
	for n, k := range kinds {
		b.table.columns = append(b.table.columns, k.column)
		s, err := b.startWith(ctx, k.procs)
		if err != nil {
			return err
		}
		defer s.stop()
		if servers[n], err = s, b.fillForGuests(s); err != nil {
			return err
		}
	}
	for turn := range b.pairs + 1 {
		for n, k := range kinds {
			if err := b.besideTurn(ctx, servers[n], k, turn); err != nil {
				return fmt.Errorf("%s: %w", k.column, err)
			}
		}
	}
	return nil
}

// startWith starts millrun with that many processors, and learns its HTTP address.
func (b *bench) startWith(ctx context.Context, procs string) (*server, error) {
	b.procs = procs
	s, err := b.start(ctx, "millrun")
	b.procs = ""
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "ready.json"))
	if err != nil {
		return nil, err
	}
	var ready struct{ HTTP string }
	if err := json.Unmarshal(text, &ready); err != nil {
		return nil, err
	}
	s.http = ready.HTTP
	return s, nil
}

// fillForGuests makes the topics that guests read: one record for those that never come further, a gigabyte for the others.
func (b *bench) fillForGuests(s *server) error {
	if err := errors.Join(s.createTopic("w1-one", 1), s.createTopic("w1-many", 1), s.createTopic("w1-out", 1)); err != nil {
		return err
	}
	one := load{topic: "w1-one", partitions: 1, connections: 1, inFlight: 1, records: 1, recordSize: 100, requests: 1}
	if _, err := one.run(s); err != nil {
		return err
	}
	many := load{topic: "w1-many", partitions: 1, connections: 1, inFlight: 4, records: 124, recordSize: 1024, requests: b.scaled(8_000)}
	_, err := many.run(s)
	return err
}

// besideTurn deploys, waits until the guests have taken half a second of processor time, measures, and deletes.
func (b *bench) besideTurn(ctx context.Context, s *server, k beside, turn int) error {
	var names []string
	before := s.cpu()
	for n := range 2 {
		if k.deploy == nil {
			break
		}
		name := fmt.Sprintf("g%d-%d", turn, n)
		args := append([]string{"wasm", "deploy"}, k.deploy...)
		args = append(args, "--name", name, "--output", "w1-out", "--from", "earliest", "--http", s.http)
		if err := command(ctx, b.millrun, args...); err != nil {
			return err
		}
		names = append(names, name)
	}
	for deadline := time.Now().Add(time.Minute); len(names) > 0 && s.cpu()-before < time.Second/2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("the guests do not run")
		}
	}
	const connections, rate = 16, 1000
	topic := fmt.Sprintf("w1-%d", turn)
	if err := s.createTopic(topic, connections); err != nil {
		return err
	}
	before = s.cpu()
	o, err := openLoopRun(s, topic, connections, rate, b.scaled(3*rate))
	if err != nil {
		return err
	}
	used := s.cpu() - before
	for _, name := range names {
		if err := command(ctx, b.millrun, "wasm", "delete", name, "--http", s.http); err != nil {
			return err
		}
	}
	if err := s.deleteTopic(topic); err != nil {
		return err
	}
	if turn == 0 {
		return nil
	}
	for _, p := range []float64{50, 99, 99.9} {
		b.table.add(fmt.Sprintf("p%g ms", p), k.column, o.percentile(p))
	}
	b.table.add("cores used", k.column, used.Seconds()/o.elapsed.Seconds())
	return nil
}
