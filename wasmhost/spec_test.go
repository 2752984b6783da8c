package wasmhost

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrun/millrun/wasmhost/abi"
)

const vectors = "../spec/vectors/wasm"

func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../spec/wasm-abi.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fenced are the page's blocks that name a file, as "hex input-rows".
func fenced(text string) map[string]string {
	blocks := map[string]string{}
	for part := range strings.SplitSeq(text, "\n```") {
		head, body, _ := strings.Cut(part, "\n")
		if kind, name, ok := strings.Cut(head, " "); ok && (kind == "hex" || kind == "wat") {
			blocks[name+"."+kind] = body + "\n"
		}
	}
	return blocks
}

func TestTheBytesOnThePageAreTheGoldenOnes(t *testing.T) {
	blocks := fenced(page(t))
	for _, pattern := range []string{"*.hex", "*.wat"} {
		files, err := filepath.Glob(filepath.Join(vectors, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if blocks[filepath.Base(file)] != string(want) {
				t.Errorf("%s on the page is not %s", filepath.Base(file), file)
			}
		}
	}
}

func TestThePageNamesEveryFunctionAndNumber(t *testing.T) {
	text := page(t)
	for _, want := range []string{
		abi.ExportMemory, abi.ExportMarker, abi.ExportAlloc, abi.ExportConfigure, abi.ExportWants, abi.ExportFilter, abi.ExportTransform,
		abi.ExportInit, abi.ExportStart, abi.EnvOutputTopic + "0",
		fmt.Sprintf("All %d functions", len(wasiTypes)), "at most 10,000 rows", "at most 4,096", "at most 64 KiB",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, f := range hostFuncs() {
		if f.module != abi.ImportWASI && !strings.Contains(text, "`"+f.module+"."+f.name+"`") {
			t.Errorf("the page does not name %s.%s", f.module, f.name)
		}
	}
}

func TestTheExampleDoesWhatThePageSays(t *testing.T) {
	wasm, err := os.ReadFile(filepath.Join(vectors, "example.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(fenced(page(t))["input-rows-value.hex"]) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	in, err := hex.DecodeString(digits.String())
	if err != nil || len(in) != 53 {
		t.Fatalf("%d bytes, %v", len(in), err)
	}
	p := load(t, Spec{Wasm: wasm, Name: "example", Config: map[string]string{"first": "h"}})
	if p.Wants() != abi.WantValue {
		t.Errorf("wants %v", p.Wants())
	}
	i := start(t, p, nil)
	bitmap, err := i.Filter(context.Background(), abi.Call{}, in, 2)
	if err != nil || i.buffer != 16384 || i.stack[0] != 1024 || len(bitmap) != 1 || bitmap[0] != 1 {
		t.Errorf("buffer %d, result %d, bitmap %x, %v", i.buffer, i.stack[0], bitmap, err)
	}
	_, err = shared.Load(context.Background(), Spec{Wasm: wasm, Name: "example", Outputs: 1, Config: map[string]string{"last": "h"}})
	if err == nil || !strings.Contains(err.Error(), "give exactly one key, first, of one character") {
		t.Errorf("got %v", err)
	}
}

func TestThePageOfLimitsHasTheHostsNumbers(t *testing.T) {
	b, err := os.ReadFile("../spec/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "## WebAssembly modules")
	thousands := func(n int) string {
		if n < 1000 {
			return fmt.Sprint(n)
		}
		if n < 1_000_000 {
			return fmt.Sprintf("%d,%03d", n/1000, n%1000)
		}
		return fmt.Sprintf("%d,%03d,%03d", n/1_000_000, n/1000%1000, n%1000)
	}
	l := structural
	for _, want := range []string{
		"| a module | " + byteSize(int64(l.ModuleBytes)),
		fmt.Sprintf("%s, %s blocks, %d loops, %s blocks and %d loops inside each other, %s locals, %s targets", byteSize(int64(l.BodyBytes)),
			thousands(l.Blocks), l.Loops, thousands(l.Nesting), l.LoopNesting, thousands(l.Locals), thousands(l.BrTable)),
		fmt.Sprintf("| a table | %s entries, also after `table.grow`; %d tables", thousands(l.TableSize), l.Tables),
		fmt.Sprintf("%s functions, %s types, %s parameters, %s imports, %s exports, %s globals, %s segments", thousands(l.Funcs),
			thousands(l.Types), thousands(l.Params), thousands(l.Imports), thousands(l.Exports), thousands(l.Globals), thousands(l.Segments)),
		fmt.Sprintf("%s parameters and results of all types together", thousands(l.TypeValues)),
		fmt.Sprintf("%.0f s of processor time, %.0f s on the clock, %s resident; %s of compiled code", compileCPU.Seconds(), compileTime.Seconds(),
			byteSize(compileMemory), byteSize(maxCodeBytes)),
		fmt.Sprintf("%d modules and %s", maxCached, byteSize(maxCachedBytes)),
		byteSize(defaultMemoryBytes) + " by default (`--memory`)",
		fmt.Sprintf("%.0f s by default (`--timeout`); %.0f s for each", defaultTimeout.Seconds(), startTimeout.Seconds()),
		fmt.Sprintf("about %d us: %s to %s units", sliceTime.Microseconds(), thousands(minSlice), thousands(maxSlice)),
		"outside of its memory | " + byteSize(callStackBytes),
		fmt.Sprintf("%d times the input and %s; %s rows", (abi.OutputCap(1000)-abi.OutputCap(0))/1000, byteSize(int64(abi.OutputCap(0))), thousands(abi.MaxRowsPerRecord)),
		"| configuration | " + byteSize(configBytes),
		fmt.Sprintf("%s each, %s at once, %d a second", byteSize(logLineBytes), thousands(logBurst), logPerSecond),
		fmt.Sprintf("%s, %s subscriptions", byteSize(writeBytes), thousands(pollSubscribe)),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("spec/limits.md does not say %q", want)
		}
	}
}
