package wasmhost

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/plugins/hostile"
)

// counted is a CompileFunc that compiles here and counts how often.
func counted(n *int) CompileFunc {
	return func(ctx context.Context, dir string, wasm []byte) error {
		*n++
		return CompileInto(ctx, dir, wasm)
	}
}

// loadOn loads a module on a host of its own, as after a start of the broker, and uses it.
func loadOn(t *testing.T, c Config, wasm []byte) error {
	t.Helper()
	h := New(c)
	defer h.Close(context.Background())
	p, err := h.Load(context.Background(), Spec{Wasm: wasm, Name: "m", Outputs: 1})
	if err == nil {
		start(t, p, nil)
	}
	return err
}

func codeFile(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the folder has %d files of code: %v", len(found), err)
	}
	return found[0]
}

func TestWhatIsCompiledElsewhereIsNotCompiledAgain(t *testing.T) {
	dir, compiled := t.TempDir(), 0
	for range 3 {
		if err := loadOn(t, Config{CacheDir: dir, Compile: counted(&compiled)}, guest(t, "pass")); err != nil {
			t.Fatal(err)
		}
	}
	if compiled != 1 {
		t.Errorf("compiled %d times", compiled)
	}
	// A host whose compiler does nothing says so: it does not compile by itself.
	nothing := func(context.Context, string, []byte) error { return nil }
	err := loadOn(t, Config{CacheDir: t.TempDir(), Compile: nothing}, guest(t, "pass"))
	if err == nil || !strings.Contains(err.Error(), "compiled code is gone") {
		t.Errorf("got %v", err)
	}
}

// The runtime gives up under this context where it would compile, and nowhere else: should it ever stop asking its
// context, this fails.
func TestARuntimeThatMayOnlyReadItsCacheNeverCompiles(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	h := New(Config{CacheDir: dir})
	defer h.Close(ctx)
	runtime, err := h.running(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := check(guest(t, "pass"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compile(onlyCached{ctx, workersKey()}, runtime, s.wasm); !errors.Is(err, errNotCached) {
		t.Fatalf("without code: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "wazero-*", "*")); len(found) != 0 {
		t.Fatalf("it has compiled: %v", found)
	}
	if err := CompileInto(ctx, dir, s.wasm); err != nil {
		t.Fatal(err)
	}
	if c, err := compile(onlyCached{ctx, workersKey()}, runtime, s.wasm); err != nil || c == nil {
		t.Fatalf("with code: %v", err)
	}
}

func TestDamagedCodeIsNotRunButCompiledAgain(t *testing.T) {
	dir, compiled := t.TempDir(), 0
	config := Config{CacheDir: dir, Compile: counted(&compiled)}
	if err := loadOn(t, config, guest(t, "pass")); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(codeFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	damage := [][]byte{nil, whole[:1], whole[:len(whole)/2], append(bytes.Clone(whole), 0)}
	for at := 0; at < len(whole); at += 1 + len(whole)/20 {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 0xff
		damage = append(damage, flipped)
	}
	for n, b := range damage {
		if err := os.WriteFile(codeFile(t, dir), b, 0o600); err != nil {
			t.Fatal(err)
		}
		compiled = 0
		if err := loadOn(t, config, guest(t, "pass")); err != nil || compiled != 1 {
			t.Errorf("damage %d: compiled %d times, %v", n, compiled, err)
		}
		if now, err := os.ReadFile(codeFile(t, dir)); err != nil || !bytes.Equal(now, whole) {
			t.Fatalf("damage %d: the code was not made good: %v", n, err)
		}
	}
	// So it is with a sum that names something else, and with one that says nothing.
	sums, err := filepath.Glob(filepath.Join(dir, "*"+sumSuffix))
	if err != nil || len(sums) != 1 {
		t.Fatal(sums, err)
	}
	for _, line := range []string{"", "x", strings.Repeat("0", 64) + "  ../../etc/passwd\n"} {
		if err := os.WriteFile(sums[0], []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		compiled = 0
		if err := loadOn(t, config, guest(t, "pass")); err != nil || compiled != 1 {
			t.Errorf("sum %q: compiled %d times, %v", line, compiled, err)
		}
	}
}

// What the sum fits may still be nothing that the runtime takes: code for another processor, or by another version.
func TestCodeThatTheRuntimeDoesNotTakeIsCompiledAgain(t *testing.T) {
	dir := t.TempDir()
	times := 0
	odd := func(ctx context.Context, dir string, wasm []byte) error {
		if times++; times > 1 {
			return CompileInto(ctx, dir, wasm)
		}
		temp := t.TempDir()
		code := filepath.Join(temp, "wazero-x", strings.Repeat("0", 64))
		if err := os.MkdirAll(filepath.Dir(code), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(code, []byte("WAZEVO"), 0o600); err != nil {
			return err
		}
		return codeCache{dir}.adopt(code, temp, wasm)
	}
	config := Config{CacheDir: dir, Compile: odd}
	if err := loadOn(t, config, guest(t, "pass")); err == nil || !strings.Contains(err.Error(), "does not fit this program") {
		t.Errorf("got %v", err)
	}
	if err := loadOn(t, config, guest(t, "pass")); err != nil || times != 2 {
		t.Errorf("the second time: %v", err)
	}
}

func TestAFolderThatOthersMayWriteToIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compiled")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if err := loadOn(t, Config{CacheDir: dir}, guest(t, "pass")); err == nil || !strings.Contains(err.Error(), "others may write to "+dir) {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := loadOn(t, Config{CacheDir: dir}, guest(t, "pass")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may look into it: %v, %v", info.Mode(), err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := loadOn(t, Config{CacheDir: link}, guest(t, "pass")); err == nil || !strings.Contains(err.Error(), "is no folder") {
		t.Errorf("a link to it: %v", err)
	}
}

func TestWhatAKilledCompilerLeftIsRemovedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, tempPrefix+"1", "wazero-x")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := loadOn(t, Config{CacheDir: dir}, guest(t, "pass")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(left)); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestCompiledCodeThatIsNotUsedDoesNotStayForEver(t *testing.T) {
	ctx := context.Background()
	c := codeCache{t.TempDir()}
	compileSome := func(name string) string {
		s, err := check(guest(t, name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := CompileInto(ctx, c.dir, s.wasm); err != nil {
			t.Fatal(err)
		}
		return c.sumPath(s.wasm)
	}
	used := compileSome("pass")
	line, err := os.ReadFile(used)
	if err != nil {
		t.Fatal(err)
	}
	// As many others, older, as are kept at most; the oldest of all is the one that goes.
	for n := range maxCached {
		key := strings.Repeat("0", 62) + string([]byte{'a' + byte(n/16), "0123456789abcdef"[n%16]})
		other := filepath.Join(c.dir, key+sumSuffix)
		name := filepath.Join(filepath.Dir(codeFileOf(line)), key)
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte("code"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(other, []byte(key+"  "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-time.Duration(n+1) * time.Hour)
		if err := os.Chtimes(other, then, then); err != nil {
			t.Fatal(err)
		}
	}
	orphan := filepath.Join(c.dir, "wazero-v0", "x")
	if err := errors.Join(os.Mkdir(filepath.Dir(orphan), 0o700), os.WriteFile(orphan, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := c.prune(); err != nil {
		t.Fatal(err)
	}
	entries, err := c.entries()
	if err != nil || len(entries) != maxCached {
		t.Errorf("%d entries are left: %v", len(entries), err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Errorf("what was used last is gone: %v", err)
	}
	if code, _ := filepath.Glob(filepath.Join(c.dir, "wazero-*", "*")); len(code) != maxCached {
		t.Errorf("%d files of code are left", len(code))
	}
}

// codeFileOf is the name in a line of a sum.
func codeFileOf(line []byte) string {
	_, name, _ := strings.Cut(strings.TrimSpace(string(line)), "  ")
	return name
}

// Ways into compiled code are made wherever it is used, one for each type: the broker's process pays for types.
func TestTypesAreBoundedAllTogether(t *testing.T) {
	if _, err := check(hostile.TypeBomb(40), 1<<20); err != nil {
		t.Errorf("40 types of 1,000 parameters: %v", err)
	}
	if _, err := check(hostile.TypeBomb(60), 1<<20); err == nil || !strings.Contains(err.Error(), "parameters and results of all types together") {
		t.Errorf("60 types of 1,000 parameters: %v", err)
	}
}
