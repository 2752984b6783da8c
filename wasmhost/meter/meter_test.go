package meter

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/millrun/millrun/plugins/hostile"
	structure "github.com/millrun/millrun/wasmhost/binary"
)

// parts are what a small module is made of, beside its functions: an import (0) and
// functions that return 1, 2 and 3 (1, 2, 3), of type 0, () -> i32. Type 1 is () -> ().
type parts struct {
	run      []byte // the body of function 4, exported as "run", () -> i32
	last     []byte // the body of function 5, () -> ()
	globals  [][]byte
	exports  [][]byte
	start    []byte
	elements [][]byte
	names    []byte
}

func (p parts) module() []byte {
	body := func(code ...byte) []byte { return appendBytes(nil, append([]byte{0}, append(code, 0x0b)...)) }
	sections := []struct {
		id      byte
		content []byte
	}{
		{idType, vector([]byte{0x60, 0, 1, tI32}, []byte{0x60, 0, 0})},
		{idImport, vector([]byte("\x01e\x01f\x00\x00"))},
		{idFunction, []byte{5, 0, 0, 0, 0, 1}},
		{idTable, []byte{1, 0x70, 0, 4}},
		{idGlobal, vector(p.globals...)},
		{idExport, vector(append([][]byte{[]byte("\x03run\x00\x04")}, p.exports...)...)},
		{idStart, p.start},
		{idElement, vector(p.elements...)},
		{idCode, vector(body(0x41, 1), body(0x41, 2), body(0x41, 3), body(p.run...), body(p.last...))},
		{idCustom, p.names},
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		if s.content != nil {
			out = append(out, sectionOf(s.id, s.content)...)
		}
	}
	return out
}

func hosted(t testing.TB) *driver {
	d := newDriver(context.Background(), t, wazero.NewRuntimeConfigCompiler())
	seven := func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = 7 }
	_, err := d.runtime.NewHostModuleBuilder("e").NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(seven), nil, []api.ValueType{tI32}).Export("f").Instantiate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// second calls what entry 1 of the table is, and copies passive segment 0 there first.
var (
	second = []byte{0x41, 1, 0x11, 0, 0}
	copied = append([]byte{0x41, 1, 0x41, 0, 0x41, 1, 0xfc, 12, 0, 0}, second...)
	global = []byte{0x70, 0, 0xd2, 2, 0x0b}
)

func TestEveryPlaceThatNamesAFunctionMeansTheSameAfterwards(t *testing.T) {
	d := hosted(t)
	for name, c := range map[string]struct {
		p    parts
		want uint64
	}{
		"a call":                      {parts{run: []byte{0x10, 2}}, 2},
		"a call of an import":         {parts{run: []byte{0x10, 0}}, 7},
		"ref.func":                    {parts{run: append([]byte{0x41, 1, 0xd2, 2, 0x26, 0}, second...), globals: [][]byte{global}}, 2},
		"a global's value":            {parts{run: append([]byte{0x41, 1, 0x23, 0, 0x26, 0}, second...), globals: [][]byte{global}}, 2},
		"elements, active":            {parts{run: second, elements: [][]byte{{0, 0x41, 1, 0x0b, 1, 2}}}, 2},
		"elements, passive":           {parts{run: copied, elements: [][]byte{{1, 0, 1, 2}}}, 2},
		"elements, of a table":        {parts{run: second, elements: [][]byte{{2, 0, 0x41, 1, 0x0b, 0, 2, 2, 3}}}, 2},
		"elements, declared":          {parts{run: append([]byte{0x41, 1, 0xd2, 2, 0x26, 0}, second...), elements: [][]byte{{3, 0, 1, 2}}}, 2},
		"expressions, active":         {parts{run: second, elements: [][]byte{{4, 0x41, 1, 0x0b, 1, 0xd2, 2, 0x0b}}}, 2},
		"expressions, passive":        {parts{run: copied, elements: [][]byte{{5, 0x70, 1, 0xd2, 2, 0x0b}}}, 2},
		"expressions, of a table":     {parts{run: second, elements: [][]byte{{6, 0, 0x41, 1, 0x0b, 0x70, 1, 0xd2, 2, 0x0b}}}, 2},
		"expressions, declared":       {parts{run: append([]byte{0x41, 1, 0xd2, 3, 0x26, 0}, second...), elements: [][]byte{{7, 0x70, 1, 0xd2, 3, 0x0b}}}, 3},
		"elements that are imported":  {parts{run: second, elements: [][]byte{{0, 0x41, 1, 0x0b, 1, 0}}}, 7},
		"the start function":          {parts{run: []byte{0x23, 0}, globals: [][]byte{{tI32, 1, 0x41, 0, 0x0b}}, last: []byte{0x41, 9, 0x24, 0}, start: []byte{5}}, 9},
		"a start that is an element":  {parts{run: []byte{0xd2, 5, 0xd1}, start: []byte{5}, elements: [][]byte{{3, 0, 1, 5}}}, 0},
		"a block with a type's index": {parts{run: []byte{0x02, 0, 0x10, 2, 0x0b}}, 2},
	} {
		m, err := d.load(context.Background(), c.p.module(), "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := d.call(context.Background(), m.ExportedFunction("run"))
		if err != nil || got[0] != c.want {
			t.Errorf("%s: got %v, %v, want %d", name, got, err, c.want)
		}
	}
}

func TestExportsAndNamesKeepTheirFunctions(t *testing.T) {
	d := hosted(t)
	p := parts{run: []byte{0x41, 0}, exports: [][]byte{[]byte("\x01i\x00\x00"), []byte("\x01a\x00\x02"), []byte("\x01s\x00\x05")}, last: []byte{0x00}}
	p.names = append([]byte("\x04name"), sectionOf(1, vector([]byte("\x00\x02in"), []byte("\x05\x04last")))...)
	p.names = append(p.names, sectionOf(2, vector([]byte("\x05\x01\x00\x01x")))...)
	for _, named := range []bool{true, false} {
		want := ".last()"
		if !named {
			p.names, want = nil, ".$5()"
		}
		m, err := d.load(context.Background(), p.module(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.call(context.Background(), m.ExportedFunction("a")); err != nil || got[0] != 2 {
			t.Errorf("a: %v, %v", got, err)
		}
		if got, err := m.ExportedFunction("i").Call(context.Background()); err != nil || got[0] != 7 {
			t.Errorf("i: %v, %v", got, err)
		}
		if _, err := d.call(context.Background(), m.ExportedFunction("s")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("s: %v, want %s", err, want)
		}
	}
}

func TestWhatWouldMeanSomethingElseAfterwardsIsRefused(t *testing.T) {
	number := []byte{tI32, 1, 0x41, 0, 0x0b}
	for want, p := range map[string]parts{
		"exports millrun.meter.fuel, which is the host's own":  {globals: [][]byte{number}, exports: [][]byte{[]byte("\x12millrun.meter.fuel\x03\x00")}},
		"exports millrun.meter.start, which is the host's own": {exports: [][]byte{[]byte("\x13millrun.meter.start\x00\x05")}},
		"global 1 of 1":                         {globals: [][]byte{number}, last: []byte{0x42, 0, 0x24, 1}},
		"function 5: global 0 of 0":             {last: []byte{0x23, 0, 0x1a}},
		"global 3 of 1":                         {globals: [][]byte{number}, exports: [][]byte{[]byte("\x01g\x03\x03")}},
		"global 2 of 2":                         {globals: [][]byte{number, {tI64, 0, 0x23, 2, 0x0b}}}, // the fuel
		"local 0 of 0":                          {last: []byte{0x20, 0, 0x1a}},
		"local 1 of 0":                          {last: []byte{0x41, 0, 0x21, 1}},
		"type 2 of 2":                           {last: []byte{0x42, 0, 0x41, 0, 0x11, 2, 0, 0x1a}},
		"function 5: type 3 of 2":               {last: []byte{0x03, 3, 0x0b}},
		"ref.func of function 5, which nothing": {last: []byte{0xd2, 5, 0x1a}, start: []byte{5}},
		"its start function is () -> i32":       {start: []byte{2}},
		"instruction 0x12 is not":               {last: []byte{0x12, 1}},
		"instruction 0x13 is not":               {last: []byte{0x41, 0, 0x13, 0, 0}},
		"instruction 0x14 is not":               {last: []byte{0xd2, 1, 0x14, 0}},
		"instruction 0x8 is not":                {last: []byte{0x08, 0}},
		"instruction 0xfe is not":               {last: []byte{0xfe, 0x03, 0}},
		"instruction 0xfb is not":               {last: []byte{0xfb, 0}},
		"instruction 0xfc 18 is not":            {last: []byte{0xfc, 18}},
		"instruction 0xfd 256 is not":           {last: []byte{0xfd, 0x80, 0x02}},
	} {
		if p.run == nil {
			p.run = []byte{0x41, 0}
		}
		if _, err := rewritten(p.module()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	b := bytes.Replace(parts{run: []byte{0x10, 0}}.module(), vector([]byte("\x01e\x01f\x00\x00")), vector([]byte("\x0dmillrun.meter\x05yield\x00\x00")), 1)
	b[bytes.Index(b, []byte("\x02\x07"))+1] = 7 + 16
	if _, err := rewritten(b); err == nil || !strings.Contains(err.Error(), "imports millrun.meter.yield, which is the host's own") {
		t.Errorf("got %v", err)
	}
}

// fuel loads the module and tells what its function "run" is charged.
func fuel(t *testing.T, d *driver, p parts) int64 {
	t.Helper()
	m, err := d.load(context.Background(), p.module(), "")
	if err != nil {
		t.Fatal(err)
	}
	d.steady = 1 << 40
	defer func() { d.steady = 0 }()
	var before int64
	for range 2 { // the first gets the slice
		before = int64(m.ExportedGlobal(ExportFuel).Get())
		if _, err := d.call(context.Background(), m.ExportedFunction("run")); err != nil {
			t.Fatal(err)
		}
	}
	return before - int64(m.ExportedGlobal(ExportFuel).Get())
}

func TestWhatIsChargedIsWhatThePackageSays(t *testing.T) {
	d := hosted(t)
	leaf := fuel(t, d, parts{run: []byte{0x10, 2, 0x1a, 0x41, 0}})
	if twice := fuel(t, d, parts{run: []byte{0x10, 2, 0x1a, 0x10, 2, 0x1a, 0x41, 0}}); twice <= leaf {
		t.Errorf("a call of a leaf: %d, two: %d", leaf, twice)
	}
	if host := fuel(t, d, parts{run: []byte{0x10, 0}}); host < hostCall {
		t.Errorf("a call of the host: %d", host)
	}
	fill := func(n byte) int64 {
		return fuel(t, d, parts{run: []byte{0x41, 0, 0xd0, 0x70, 0x41, n, 0xfc, 17, 0, 0x41, 0}})
	}
	if some := fill(4) - fill(0); some != 8 {
		t.Errorf("four entries of a table: %d", some)
	}
	loop := func(n byte) int64 {
		return fuel(t, d, parts{globals: [][]byte{{tI32, 1, 0x41, 0, 0x0b}},
			run: []byte{0x41, n, 0x24, 0, 0x03, 0x40, 0x23, 0, 0x41, 1, 0x6b, 0x24, 0, 0x23, 0, 0x0d, 0, 0x0b, 0x41, 0}})
	}
	if one := loop(2) - loop(1); one != 7 || loop(12)-loop(2) != 10*one {
		t.Errorf("once through a loop: %d, ten times: %d", one, loop(12)-loop(2))
	}
}

// FuzzRewrite: what the compiler takes it takes after rewriting, and nothing else.
func FuzzRewrite(f *testing.F) {
	for _, name := range []string{"pass", "trap-hundredth", "hog", "abort", "spin-start", "bad-rows", "fill-bomb"} {
		b, err := hostile.Module(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(randomModule(bytes.Repeat([]byte{5, 4, 3, 2, 1, 7, 11}, 100)))
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer runtime.Close(ctx)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := structure.Parse(wasm, unlimited)
		if err != nil || !m.CleanNames || len(wasm) > 16<<10 {
			return
		}
		b, err := Rewrite(m, wasm)
		if err == nil {
			again, parseErr := structure.Parse(b, unlimited)
			if parseErr != nil || len(again.Funcs) != len(m.Funcs) || again.Globals != m.Globals+1 || again.ImportedFuncs() != m.ImportedFuncs()+1 {
				t.Fatalf("the rewritten module is another: %v", parseErr)
			}
			_, err = runtime.CompileModule(ctx, b)
		}
		_, plainErr := runtime.CompileModule(ctx, wasm)
		reserved := err != nil && strings.Contains(err.Error(), "the host's own")
		// A custom section is no part of the program and is left out, though this compiler is strict about its name.
		custom := plainErr != nil && strings.Contains(plainErr.Error(), "custom section")
		if (err == nil) != (plainErr == nil) && !reserved && !custom {
			t.Fatalf("the compiler says %v, of the metered module %v", plainErr, err)
		}
	})
}
