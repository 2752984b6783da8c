package binary

import (
	"fmt"
	"math"
)

type parser struct {
	limits     Limits
	m          *Module
	funcTypes  []uint32 // type indexes of the function section
	bodies     int
	hasData    bool
	dataCount  uint32
	dataSeen   int
	typeValues int
	growable   []bool // tables by index, imports first: may table.grow be used on it
}

// order is where each section id stands: data count (12) comes before code (10).
var order = [...]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 12: 10, 10: 11, 11: 12}

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export",
	"start", "element", "code", "data", "data count"}

// Section reads one section's id and content; a module's sections start at its
// eighth byte.
func (r *Reader) Section() (id byte, content []byte) {
	id = r.Byte()
	return id, r.Bytes(r.U32())
}

func (p *parser) sections(b []byte) error {
	all := Reader{b: b, at: 8}
	last := 0
	for all.Left() > 0 {
		start := all.at
		id, content := all.Section()
		if all.err != nil {
			return fmt.Errorf("section at byte %d: %w", start, all.err)
		}
		if int(id) >= len(sectionNames) {
			return fmt.Errorf("section at byte %d: id %d is not of WebAssembly 2.0", start, id)
		}
		if id == 0 {
			if err := p.custom(content, start, all.at); err != nil {
				return fmt.Errorf("custom section at byte %d: %w", start, err)
			}
			continue
		}
		if order[id] <= last {
			return fmt.Errorf("the %s section at byte %d stands out of order", sectionNames[id], start)
		}
		last = order[id]
		r := Reader{b: content}
		p.section(id, &r)
		if r.err == nil && r.Left() > 0 {
			r.Failf("%d bytes are left over", r.Left())
		}
		if r.err != nil {
			return fmt.Errorf("%s section at byte %d: %w", sectionNames[id], start, r.err)
		}
	}
	return p.finish()
}

func (p *parser) section(id byte, r *Reader) {
	switch id {
	case 1:
		p.types(r)
	case 2:
		p.imports(r)
	case 3:
		p.functions(r)
	case 4:
		for n := r.Count(p.limits.Tables, "tables"); n > 0 && r.err == nil; n-- {
			p.m.Tables = append(p.m.Tables, p.table(r))
		}
	case 5:
		for n := r.Count(1, "memories"); n > 0 && r.err == nil; n-- {
			p.m.Memories = append(p.m.Memories, limitsOf(r))
		}
	case 6:
		for n := r.Count(p.limits.Globals, "globals"); n > 0 && r.err == nil; n-- {
			valueType(r)
			r.Byte()
			constant(r)
			p.m.Globals++
		}
	case 7:
		p.exports(r)
	case 8:
		p.m.start, p.m.HasStart = r.U32(), true
	case 9:
		for n := r.Count(p.limits.Segments, "element segments"); n > 0 && r.err == nil; n-- {
			element(r)
		}
	case 10:
		p.code(r)
	case 11:
		for n := r.Count(p.limits.Segments, "data segments"); n > 0 && r.err == nil; n-- {
			data(r)
			p.dataSeen++
		}
	case 12:
		p.dataCount, p.hasData = r.U32(), true
	}
}

func (p *parser) finish() error {
	switch {
	case p.bodies != len(p.funcTypes):
		return fmt.Errorf("%d functions are declared, %d have a body", len(p.funcTypes), p.bodies)
	case p.hasData && int64(p.dataCount) != int64(p.dataSeen):
		return fmt.Errorf("%d data segments are announced, %d are there", p.dataCount, p.dataSeen)
	}
	if p.m.HasStart {
		if _, ok := p.m.FuncType(p.m.start); !ok {
			return fmt.Errorf("the start function %d does not exist", p.m.start)
		}
	}
	return nil
}

func (p *parser) types(r *Reader) {
	for n := r.Count(p.limits.Types, "types"); n > 0 && r.err == nil; n-- {
		if form := r.Byte(); r.err == nil && form != 0x60 {
			r.Failf("type %d: form %#x is no function", len(p.m.Types), form)
		}
		t := FuncType{Params: p.valueTypes(r, "parameters"), Results: p.valueTypes(r, "results")}
		if p.typeValues += len(t.Params) + len(t.Results); p.typeValues > p.limits.TypeValues {
			r.Failf("more than %d parameters and results of all types together", p.limits.TypeValues)
		}
		p.m.Types = append(p.m.Types, t)
	}
}

func (p *parser) valueTypes(r *Reader, what string) string {
	n := r.Count(p.limits.Params, what)
	start := r.at
	for ; n > 0 && r.err == nil; n-- {
		valueType(r)
	}
	if r.err != nil {
		return ""
	}
	return string(r.b[start:r.at])
}

func valueType(r *Reader) {
	switch t := r.Byte(); t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f:
	default:
		r.Failf("unknown value type %#x", t)
	}
}

func referenceType(r *Reader) {
	if t := r.Byte(); t != 0x70 && t != 0x6f {
		r.Failf("unknown reference type %#x", t)
	}
}

func (p *parser) typeAt(r *Reader, index uint32) FuncType {
	if int64(index) >= int64(len(p.m.Types)) {
		r.Failf("type %d of %d", index, len(p.m.Types))
		return FuncType{}
	}
	return p.m.Types[index]
}

func (p *parser) imports(r *Reader) {
	for n := r.Count(p.limits.Imports, "imports"); n > 0 && r.err == nil; n-- {
		im := Import{Module: r.Name(), Name: r.Name(), Kind: r.Byte()}
		switch im.Kind {
		case KindFunc:
			im.Type = p.typeAt(r, r.U32())
			p.m.importedFunc = append(p.m.importedFunc, im.Type)
		case KindTable:
			p.table(r)
		case KindMemory:
			limitsOf(r)
		case KindGlobal:
			valueType(r)
			r.Byte()
		default:
			r.Failf("import %s.%s has the unknown kind %d", im.Module, im.Name, im.Kind)
		}
		p.m.Imports = append(p.m.Imports, im)
	}
}

func (p *parser) functions(r *Reader) {
	for n := r.Count(p.limits.Funcs, "functions"); n > 0 && r.err == nil; n-- {
		index := r.U32()
		p.funcTypes = append(p.funcTypes, index)
		p.m.Funcs = append(p.m.Funcs, p.typeAt(r, index))
	}
}

func (p *parser) table(r *Reader) Range {
	referenceType(r)
	t := limitsOf(r)
	if int64(t.Min) > int64(p.limits.TableSize) {
		r.Failf("a table of %d entries, at most %d are allowed", t.Min, p.limits.TableSize)
	}
	most := int64(math.MaxUint32)
	if t.HasMax {
		most = int64(t.Max)
	}
	p.growable = append(p.growable, most <= int64(p.limits.TableSize))
	return t
}

func limitsOf(r *Reader) Range {
	flag := r.Byte()
	if flag > 1 {
		r.Failf("limits with the flag %d are not of WebAssembly 2.0", flag)
	}
	l := Range{Min: r.U32(), HasMax: flag == 1}
	if l.HasMax {
		l.Max = r.U32()
	}
	if l.HasMax && l.Max < l.Min {
		r.Failf("a maximum of %d below the minimum of %d", l.Max, l.Min)
	}
	return l
}

func (p *parser) exports(r *Reader) {
	seen := map[string]bool{}
	for n := r.Count(p.limits.Exports, "exports"); n > 0 && r.err == nil; n-- {
		e := Export{Name: r.Name(), Kind: r.Byte(), Index: r.U32()}
		if r.err == nil && seen[e.Name] {
			r.Failf("%q is exported twice", e.Name)
		}
		seen[e.Name] = true
		p.m.Exports = append(p.m.Exports, e)
	}
}

func (p *parser) code(r *Reader) {
	for n := r.Count(p.limits.Funcs, "bodies"); n > 0 && r.err == nil; n-- {
		size := r.U32()
		if int64(size) > int64(p.limits.BodyBytes) {
			r.Failf("function %d: its body has %d bytes, at most %d are allowed", p.bodies, size, p.limits.BodyBytes)
			return
		}
		body := r.Bytes(size)
		if r.err != nil {
			return
		}
		if err := p.body(body); err != nil {
			r.Failf("function %d: %w", len(p.m.importedFunc)+p.bodies, err)
			return
		}
		p.bodies++
	}
}
