//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a broker that runs as a process of its own.
type server struct {
	kind string // millrun, kafka or null
	addr string
	http string // of millrun, where it is asked for
	dir  string
	pid  int
	stop func() error
}

func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// peerScript is the script beside this package that fetches and runs Apache Kafka.
func peerScript() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "peer", "kafka")
}

// start runs a broker on an empty folder and waits until it serves.
func (b *bench) start(ctx context.Context, kind string, settings ...string) (*server, error) {
	b.started++
	dir := filepath.Join(b.workDir, fmt.Sprintf("%s-%d", kind, b.started))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return b.restart(ctx, kind, dir, settings...)
}

// restart runs a broker on a folder that an earlier one of its kind has left.
func (b *bench) restart(ctx context.Context, kind, dir string, settings ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{kind: kind, dir: dir, addr: "127.0.0.1:" + strconv.Itoa(port)}
	switch kind {
	case "kafka":
		return s, s.startKafka(ctx, port, settings)
	case "null":
		return s, s.startProcess(nil, b.self, "null-broker", s.addr)
	}
	var environment []string
	if b.procs != "" {
		environment = []string{"GOMAXPROCS=" + b.procs}
	}
	return s, s.startMillrun(b.millrun, environment, settings)
}

func (s *server) startKafka(ctx context.Context, port int, settings []string) error {
	args := append([]string{"start", s.dir, strconv.Itoa(port)}, settings...)
	if err := command(ctx, peerScript(), args...); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "pid"))
	if err != nil {
		return err
	}
	if s.pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return err
	}
	s.stop = func() error { return command(context.Background(), peerScript(), "stop", s.dir) }
	return nil
}

func (s *server) startMillrun(binary string, environment, settings []string) error {
	ready := filepath.Join(s.dir, "ready.json")
	os.Remove(ready)
	args := []string{"dev", "--kafka", s.addr, "--http", "127.0.0.1:0", "--data", filepath.Join(s.dir, "data"), "--ready-file", ready}
	for _, setting := range settings {
		args = append(args, "--set", setting)
	}
	if err := s.startProcess(environment, binary, args...); err != nil {
		return err
	}
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		if text, err := os.ReadFile(ready); err == nil {
			return json.Unmarshal(text, &struct{}{})
		}
		if syscall.Kill(s.pid, 0) != nil {
			return fmt.Errorf("millrun ended while it started: see %s", filepath.Join(s.dir, "out.log"))
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("millrun does not serve after three minutes")
}

// startProcess runs a program with more of an environment than this process has.
func (s *server) startProcess(environment []string, binary string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "out.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.pid = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.stop = func() error {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			return nil
		case <-time.After(2 * time.Minute):
			cmd.Process.Kill()
			return fmt.Errorf("%s did not stop", s.kind)
		}
	}
	return nil
}

// cpu is the processor time that the broker has used so far.
func (s *server) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident is the broker's resident memory in bytes.
func (s *server) resident() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// openFiles counts the broker's file descriptors.
func (s *server) openFiles() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		return 0
	}
	return len(entries)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
