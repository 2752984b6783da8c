package meter

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	structure "github.com/millrun/millrun/wasmhost/binary"
)

// The WebAssembly specification's own tests, as wazero keeps them beside its code:
// each .json is a script of modules to load and of what their functions must return.

type script struct {
	Commands []command `json:"commands"`
}

type command struct {
	Type       string
	Line       int
	Name       string
	Filename   string
	As         string
	ModuleType string `json:"module_type"`
	Text       string
	Action     struct {
		Type, Field, Module string
		Args                []value
	}
	Expected []value
}

type value struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// traps is how the runtime calls what the scripts expect.
var traps = map[string]string{
	"out of bounds memory access":   "out of bounds memory access",
	"indirect call type mismatch":   "indirect call type mismatch",
	"indirect call":                 "indirect call type mismatch",
	"undefined element":             "invalid table access",
	"undefined":                     "invalid table access",
	"out of bounds table access":    "invalid table access",
	"integer overflow":              "integer overflow",
	"invalid conversion to integer": "invalid conversion to integer",
	"integer divide by zero":        "integer divide by zero",
	"unreachable":                   "unreachable",
}

// unlimited are limits for modules that test the limits of a specification.
var unlimited = structure.Limits{
	ModuleBytes: 1 << 28, BodyBytes: 1 << 28, Blocks: 1 << 28, Loops: 1 << 28, Nesting: 1 << 28, LoopNesting: 1 << 28, BrTable: 1 << 28,
	Locals: 50_000, TableSize: math.MaxUint32, TypeValues: 1 << 28, Types: 1 << 28, Params: 1 << 28, Imports: 1 << 28, Funcs: 1 << 28, Tables: 1 << 28,
	Globals: 1 << 28, Exports: 1 << 28, Segments: 1 << 28,
}

func rewritten(wasm []byte) ([]byte, error) {
	m, err := structure.Parse(wasm, unlimited)
	if err != nil {
		return nil, err
	}
	if !m.CleanNames {
		wasm = m.StripNames(wasm)
	}
	return Rewrite(m, wasm)
}

// driver is a host that lets its guests go on, a little at a time.
type driver struct {
	runtime wazero.Runtime
	running api.Function
	slice   int64 // another at each yield, unless
	steady  int64 // is not 0
	yields  int
}

const suiteStack = 16 << 20

func (d *driver) yield(_ context.Context, _ api.Module, stack []uint64) {
	d.yields++
	if StackBytes(d.running) > suiteStack {
		panic("metered: stack exhausted")
	}
	if d.yields > 1e6 {
		panic("metered: does not end")
	}
	if d.steady == 0 {
		d.slice = d.slice*5%100_003 + 1
		stack[0] = uint64(d.slice)
		return
	}
	stack[0] = uint64(d.steady)
}

func newDriver(ctx context.Context, t testing.TB, config wazero.RuntimeConfig) *driver {
	t.Helper()
	d := &driver{runtime: wazero.NewRuntimeWithConfig(ctx, config), slice: 17}
	t.Cleanup(func() { _ = d.runtime.Close(ctx) })
	i64s := []api.ValueType{api.ValueTypeI64}
	_, err := d.runtime.NewHostModuleBuilder(ImportModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(d.yield), i64s, i64s).Export(ImportYield).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// load rewrites and instantiates a module, start function included.
func (d *driver) load(ctx context.Context, wasm []byte, name string) (api.Module, error) {
	b, err := rewritten(wasm)
	if err != nil {
		return nil, err
	}
	m, err := d.runtime.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		return nil, err
	}
	if start := m.ExportedFunction(ExportStart); start != nil {
		if _, err := d.call(ctx, start); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (d *driver) call(ctx context.Context, f api.Function, args ...uint64) ([]uint64, error) {
	d.running, d.yields = f, 0
	return f.Call(ctx, args...)
}

func suiteFolder(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if _, statErr := os.Stat(filepath.Join(dir, "v2", "testdata")); err != nil || statErr != nil {
		t.Skipf("the specification's tests are not in %s: %v", dir, statErr)
	}
	return dir
}

func TestTheSpecificationsTestsPassAfterRewriting(t *testing.T) {
	root := suiteFolder(t)
	base, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"v1", "v2"} {
		files, err := filepath.Glob(filepath.Join(root, version, "testdata", "*.json"))
		if err != nil || len(files) < 50 {
			t.Fatalf("%d scripts, %v", len(files), err)
		}
		for n, file := range files {
			if testing.Short() && (version == "v1" || n%8 != 0) {
				continue
			}
			t.Run(version+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { runScript(t, base, version, file) })
		}
	}
}

type scene struct {
	*driver
	t       *testing.T
	dir     string
	last    api.Module
	modules map[string]api.Module
}

func runScript(t *testing.T, base []byte, version, file string) {
	ctx := context.Background()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	features := api.CoreFeaturesV2
	if version == "v1" {
		features = api.CoreFeaturesV1
	}
	c := scene{newDriver(ctx, t, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features)), t, filepath.Dir(file), nil, map[string]api.Module{}}
	if _, err := c.runtime.Instantiate(ctx, base); err != nil {
		t.Fatal(err)
	}
	for n := range s.Commands {
		as := ""
		if n+1 < len(s.Commands) && s.Commands[n+1].Type == "register" {
			as = s.Commands[n+1].As
		}
		if err := c.do(ctx, &s.Commands[n], as); err != nil {
			t.Errorf("line %d, %s %s: %v", s.Commands[n].Line, s.Commands[n].Type, s.Commands[n].Action.Field, err)
		}
	}
}

func (c *scene) wasm(file string) []byte {
	b, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *scene) do(ctx context.Context, cmd *command, as string) error {
	switch cmd.Type {
	case "register":
		return nil // with the module before it
	case "module":
		m, err := c.load(ctx, c.wasm(cmd.Filename), as)
		if c.last = m; cmd.Name != "" {
			c.modules[cmd.Name] = m
		}
		return err
	case "action", "assert_return", "assert_trap", "assert_exhaustion":
		return c.act(ctx, cmd)
	case "assert_malformed", "assert_invalid", "assert_unlinkable", "assert_uninstantiable":
		if cmd.ModuleType == "text" {
			return nil
		}
		m, err := c.load(ctx, c.wasm(cmd.Filename), "")
		if cmd.Text == "out of bounds table access" && m != nil {
			return nil // wazero instantiates these, to keep what was written before the bounds were passed
		}
		if err == nil {
			return fmt.Errorf("was taken")
		}
		return nil
	}
	return fmt.Errorf("unknown command")
}

func (c *scene) act(ctx context.Context, cmd *command) error {
	m := c.last
	if cmd.Action.Module != "" {
		m = c.modules[cmd.Action.Module]
	}
	if cmd.Action.Type == "get" {
		return matches([]uint64{m.ExportedGlobal(cmd.Action.Field).Get()}, cmd.Expected)
	}
	var args []uint64
	for _, a := range cmd.Action.Args {
		args = append(args, a.bits()...)
	}
	results, err := c.call(ctx, m.ExportedFunction(cmd.Action.Field), args...)
	switch cmd.Type {
	case "assert_trap":
		want, ok := traps[cmd.Text]
		if !ok && strings.HasPrefix(cmd.Text, "uninitialized") {
			want, ok = "invalid table access", true
		}
		if !ok || err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("got %v, want %s", err, cmd.Text)
		}
		return nil
	case "assert_exhaustion":
		if err == nil || !strings.Contains(err.Error(), "stack exhausted") {
			return fmt.Errorf("got %v", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return matches(results, cmd.Expected)
}

// bits is a value as the runtime takes it.
func (v value) bits() []uint64 {
	if v.Type == "v128" {
		lanes := v.Value.([]any)
		width := 128 / len(lanes)
		var out [2]uint64
		for i, lane := range lanes {
			out[i*width/64] |= number(lane.(string), width) << (i * width % 64)
		}
		return out[:]
	}
	text, _ := v.Value.(string)
	switch {
	case v.Type == "externref" && text != "null":
		return []uint64{number(text, 64) + 1} // 0 is null here
	case text == "null" || text == "":
		return []uint64{0}
	case strings.HasSuffix(v.Type, "32"):
		return []uint64{number(text, 32)}
	}
	return []uint64{number(text, 64)}
}

func number(text string, width int) uint64 {
	if strings.HasPrefix(text, "nan") {
		if width == 32 {
			return 0x7fc00000
		}
		return 0x7ff8000000000000
	}
	if strings.HasPrefix(text, "-") {
		n, _ := strconv.ParseInt(text, 10, 64)
		return uint64(n) & (1<<(width-1)<<1 - 1)
	}
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

func matches(got []uint64, want []value) error {
	for _, w := range want {
		bits := w.bits()
		if len(got) < len(bits) {
			return fmt.Errorf("too few results")
		}
		if !w.equals(got[:len(bits)], bits) {
			return fmt.Errorf("got %x, want %+v", got, w)
		}
		got = got[len(bits):]
	}
	if len(got) > 0 {
		return fmt.Errorf("%d results too many", len(got))
	}
	return nil
}

func (v value) equals(got, want []uint64) bool {
	switch {
	case v.Type == "v128":
		lanes := v.Value.([]any)
		width := 128 / len(lanes)
		for i, lane := range lanes {
			g, w := got[i*width/64]>>(i*width%64), want[i*width/64]>>(i*width%64)
			if !sameLane(g&(1<<(width-1)<<1-1), w&(1<<(width-1)<<1-1), lane.(string), width) {
				return false
			}
		}
		return true
	case v.Type == "i32" || v.Type == "f32":
		text, _ := v.Value.(string)
		return sameLane(uint64(uint32(got[0])), uint64(uint32(want[0])), text, 32)
	case v.Value == nil:
		return true // any reference
	}
	text, _ := v.Value.(string)
	return sameLane(got[0], want[0], text, 64)
}

// sameLane compares bits; a NaN that is canonical or arithmetic is one of several.
func sameLane(got, want uint64, text string, width int) bool {
	quiet, sign := uint64(0x7fc00000), uint64(1)<<31
	if width == 64 {
		quiet, sign = 0x7ff8000000000000, 1<<63
	}
	switch text {
	case "nan:canonical":
		return got&^sign == quiet
	case "nan:arithmetic":
		return got&quiet == quiet
	}
	return got == want
}
