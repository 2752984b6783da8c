package wasmhost

import (
	"fmt"
	"slices"

	"github.com/millrun/millrun/wasmhost/abi"
	"github.com/millrun/millrun/wasmhost/binary"
	"github.com/millrun/millrun/wasmhost/meter"
)

// shape is what a module turned out to be.
type shape struct {
	filter       bool
	redpanda     bool // of Redpanda's ABI: a transform that pulls its records
	hasInit      bool
	hasConfigure bool
	hasWants     bool
	wasm         []byte // what to compile: the module, metered
}

const (
	i32 = "\x7f"
	i64 = "\x7e"
)

// exports with their types; required ones first. Of the last two a module has one.
var (
	requiredExports = []struct {
		name string
		t    binary.FuncType
	}{
		{abi.ExportMarker, binary.FuncType{}},
		{abi.ExportAlloc, binary.FuncType{Params: i32, Results: i32}},
	}
	configureType = binary.FuncType{Params: i32 + i32, Results: i32}
	wantsType     = binary.FuncType{Results: i32}
	filterType    = binary.FuncType{Params: i32 + i32 + i32, Results: i32}
	transformType = binary.FuncType{Params: i32 + i32 + i32, Results: i64}
)

// check reads a module's structure, its imports and its exports, says what it is,
// and rewrites it, before anything is compiled. Its error is a reason without the module's name.
func check(wasm []byte, memoryLimit int64) (shape, error) {
	m, err := binary.Parse(wasm, structural)
	if err != nil {
		return shape{}, err
	}
	if !m.CleanNames {
		wasm = m.StripNames(wasm)
	}
	var s shape
	if err := checkImports(m); err != nil {
		return shape{}, err
	}
	if err := checkMemory(m, memoryLimit); err != nil {
		return shape{}, err
	}
	if err := s.exports(m); err != nil {
		return shape{}, err
	}
	if s.wasm, err = meter.Rewrite(m, wasm); err != nil {
		return shape{}, err
	}
	return s, nil
}

// Inspect tells whether a module is a "filter" or a "transform". Its error is what a
// broker would refuse the module for before it compiles it, under the default limits.
func Inspect(wasm []byte) (kind string, err error) {
	s, err := check(wasm, defaultMemoryBytes)
	switch {
	case err != nil:
		return "", err
	case s.filter:
		return "filter", nil
	default:
		return "transform", nil
	}
}

func checkImports(m *binary.Module) error {
	known := importTypes()
	for _, im := range m.Imports {
		name := im.Module + "." + im.Name
		if im.Kind != binary.KindFunc {
			return fmt.Errorf("imports %s, which is no function: a module brings its own memory, tables and globals", name)
		}
		t, ok := known[name]
		if !ok {
			return fmt.Errorf("imports %s, which millrun does not provide", name)
		}
		if t != im.Type {
			return fmt.Errorf("imports %s as %s, but it is %s", name, im.Type, t)
		}
	}
	return nil
}

func checkMemory(m *binary.Module, limit int64) error {
	if e, ok := m.Export(abi.ExportMemory); !ok || e.Kind != binary.KindMemory {
		return fmt.Errorf("does not export its memory as %q", abi.ExportMemory)
	}
	if len(m.Memories) != 1 {
		return fmt.Errorf("has no memory of its own")
	}
	if start := int64(m.Memories[0].Min) * pageBytes; start > limit {
		return fmt.Errorf("starts with %s of memory, its limit is %s", byteSize(start), byteSize(limit))
	}
	return nil
}

func (s *shape) exports(m *binary.Module) error {
	if s.redpanda = importsFrom(m, abi.ImportRedpanda); s.redpanda {
		return redpandaExports(m)
	}
	if importsFrom(m, abi.ImportSchemaRegistry) {
		return fmt.Errorf("imports %s, which is for modules that import %s", abi.ImportSchemaRegistry, abi.ImportRedpanda)
	}
	if _, ok := m.Export(abi.ExportStart); ok {
		return fmt.Errorf("exports %s: it is a command, build it as a reactor (Go: -buildmode=c-shared)", abi.ExportStart)
	}
	for _, want := range requiredExports {
		if ok, err := exported(m, want.name, want.t); err != nil {
			return err
		} else if !ok {
			return fmt.Errorf("does not export %s %s, which spec/wasm-abi.md asks for", want.name, want.t)
		}
	}
	var err error
	if s.hasInit, err = exported(m, abi.ExportInit, binary.FuncType{}); err != nil {
		return err
	}
	if s.hasConfigure, err = exported(m, abi.ExportConfigure, configureType); err != nil {
		return err
	}
	if s.hasWants, err = exported(m, abi.ExportWants, wantsType); err != nil {
		return err
	}
	if s.filter, err = exported(m, abi.ExportFilter, filterType); err != nil {
		return err
	}
	transform, err := exported(m, abi.ExportTransform, transformType)
	if err != nil {
		return err
	}
	if s.filter == transform {
		word := map[bool]string{true: "both", false: "neither"}[s.filter]
		return fmt.Errorf("exports %s of %s and %s, a module has exactly one", word, abi.ExportFilter, abi.ExportTransform)
	}
	return nil
}

func importsFrom(m *binary.Module, module string) bool {
	return slices.ContainsFunc(m.Imports, func(im binary.Import) bool { return im.Module == module })
}

// redpandaExports checks what a module of Redpanda's ABI exports.
func redpandaExports(m *binary.Module) error {
	if _, ok := m.Export(abi.ExportMarker); ok {
		return fmt.Errorf("imports %s and exports %s: a module is of one ABI", abi.ImportRedpanda, abi.ExportMarker)
	}
	ok, err := exported(m, abi.ExportStart, binary.FuncType{})
	if err == nil && !ok {
		return fmt.Errorf("imports %s and does not export %s: build it as a command (Go: without -buildmode)", abi.ImportRedpanda, abi.ExportStart)
	}
	return err
}

// exported reports whether m exports that function; with another type is an error.
func exported(m *binary.Module, name string, want binary.FuncType) (bool, error) {
	e, ok := m.Export(name)
	if !ok {
		return false, nil
	}
	if e.Kind != binary.KindFunc {
		return false, fmt.Errorf("exports %s, but not as a function", name)
	}
	if e.Index < m.ImportedFuncs() { // it would run without the guest around it
		return false, fmt.Errorf("exports %s, which it imports", name)
	}
	t, ok := m.FuncType(e.Index)
	if !ok {
		return false, fmt.Errorf("exports %s as function %d, which does not exist", name, e.Index)
	}
	if t != want {
		return false, fmt.Errorf("exports %s as %s, but it must be %s", name, t, want)
	}
	return true, nil
}
