//go:build !windows

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrun/millrun/wasmhost"
)

// asMain makes the test binary behave as millrun itself, so that tests can run it as a process and kill it.
const asMain = "MILLRUN_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" || len(os.Args) > 1 && os.Args[1] == wasmhost.CompileVerb {
		main()
	}
	os.Exit(m.Run())
}

// process is a broker that runs as a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *bytes.Buffer
	Kafka string `json:"kafka"`
	HTTP  string `json:"http"`
	PID   int    `json:"pid"`
}

// startDev runs 'millrun dev' with the arguments and waits until it serves.
func startDev(t *testing.T, args ...string) *process {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	p := &process{t: t, out: &bytes.Buffer{}}
	p.cmd = exec.Command(os.Args[0], append([]string{"dev", "--ready-file", ready}, args...)...)
	p.cmd.Env = append(os.Environ(), asMain+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if text, err := os.ReadFile(ready); err == nil {
			if err := json.Unmarshal(text, p); err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p.cmd.ProcessState != nil || syscall.Kill(p.cmd.Process.Pid, 0) != nil {
			break
		}
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	t.Fatalf("millrun dev does not serve: %s", p.out)
	return nil
}

// kill ends the process as a power switch would, as far as a process can tell.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// interrupt sends Ctrl-C and returns the exit error.
func (p *process) interrupt() error {
	p.cmd.Process.Signal(os.Interrupt)
	return p.cmd.Wait()
}

// skipIfShort is for tests that compile a module built by Go: seconds, and half a minute under the race detector.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles a large module")
	}
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// result is what a verb said.
type result struct {
	code           int
	stdout, stderr string
}

// verb runs one command line in this process, against the broker p unless that is nil.
func verb(t *testing.T, p *process, stdin string, args ...string) result {
	t.Helper()
	if p != nil {
		t.Setenv("MILLRUN_BOOTSTRAP", p.Kafka)
		t.Setenv("MILLRUN_HTTP", p.HTTP)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, append([]string{"millrun"}, args...), strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// must runs a verb that has to succeed and returns what it printed.
func must(t *testing.T, p *process, stdin string, args ...string) string {
	t.Helper()
	r := verb(t, p, stdin, args...)
	if r.code != 0 {
		t.Fatalf("millrun %s: exit %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// refused runs a verb that has to fail with the exit code, and one line on stderr that holds every word of want.
func refused(t *testing.T, p *process, code int, want []string, args ...string) {
	t.Helper()
	r := verb(t, p, "", args...)
	line := strings.TrimSuffix(r.stderr, "\n")
	if r.code != code || strings.Contains(line, "\n") || line == "" {
		t.Errorf("millrun %s: exit %d and %q; expected exit %d and one line", strings.Join(args, " "), r.code, r.stderr, code)
	}
	for _, w := range want {
		if !strings.Contains(line, w) {
			t.Errorf("millrun %s: %q does not name %q", strings.Join(args, " "), line, w)
		}
	}
}

func lines(s string) []string {
	s = strings.TrimSuffix(s, "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

func sequence(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

// running is a verb in a process of its own.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	path string // of what it has printed
}

// startVerb runs one command line against p as a process that goes on.
func startVerb(t *testing.T, p *process, args ...string) *running {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r := &running{t, exec.Command(os.Args[0], args...), out.Name()}
	r.cmd.Env = append(os.Environ(), asMain+"=1", "MILLRUN_BOOTSTRAP="+p.Kafka, "MILLRUN_HTTP="+p.HTTP)
	r.cmd.Stdout, r.cmd.Stderr = out, out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill(); r.cmd.Wait() })
	return r
}

// until waits until the words have been printed, in this order.
func (r *running) until(words ...string) {
	r.t.Helper()
	var text string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		printed, err := os.ReadFile(r.path)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(printed)
		rest, found := text, true
		for _, w := range words {
			if _, rest, found = strings.Cut(rest, w); !found {
				break
			}
		}
		if found {
			return
		}
	}
	r.t.Fatalf("%q is not printed: %q", words, text)
}

// interrupt sends Ctrl-C and returns the exit code.
func (r *running) interrupt() int {
	r.cmd.Process.Signal(os.Interrupt)
	r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode()
}
