package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	structure "github.com/millrun/millrun/wasmhost/binary"
)

// This file puts a function that a C compiler made into a module that Go made, which
// has no SIMD of its own: in place of the last function that the module imports. As it
// becomes the first that the module defines, every index stays what it was. It may
// hold no data, no globals and no calls: then its code means the same anywhere.

const (
	sectionType, sectionImport, sectionFunction, sectionCode, sectionData = 1, 2, 3, 10, 11

	simdModule, simdFunc = "millrun.simd", "scan"
)

type section struct {
	id      byte
	content []byte
}

func sectionsOf(wasm []byte) ([]section, error) {
	if len(wasm) < 8 || string(wasm[:4]) != "\x00asm" {
		return nil, errors.New("no module")
	}
	var out []section
	r := structure.NewReader(wasm[8:])
	for r.Left() > 0 && r.Err() == nil {
		id, content := r.Section()
		out = append(out, section{id, content})
	}
	return out, r.Err()
}

// link replaces the last import of module, simdModule.simdFunc, by the only function
// of object, whose parameters and results must be the same.
func link(module, object []byte) ([]byte, error) {
	body, signature, err := onlyFunction(object)
	if err != nil {
		return nil, fmt.Errorf("the SIMD function: %w", err)
	}
	sections, err := sectionsOf(module)
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), module[:8]...)
	var types []string
	var signatureIndex uint32
	for _, s := range sections {
		r := structure.NewReader(s.content)
		switch s.id {
		case sectionType:
			types = typesOf(r)
		case sectionImport:
			s.content, signatureIndex = withoutLast(r)
			if r.Err() == nil && (int(signatureIndex) >= len(types) || types[signatureIndex] != signature) {
				r.Failf("the import is declared otherwise than the function")
			}
		case sectionFunction:
			s.content = oneMore(r, binary.AppendUvarint(nil, uint64(signatureIndex)))
		case sectionCode:
			s.content = oneMore(r, append(binary.AppendUvarint(nil, uint64(len(body))), body...))
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
		out = binary.AppendUvarint(append(out, s.id), uint64(len(s.content)))
		out = append(out, s.content...)
	}
	return out, nil
}

// onlyFunction is the body of the one function of an object, and its type as it stands.
func onlyFunction(object []byte) (body []byte, signature string, err error) {
	sections, err := sectionsOf(object)
	if err != nil {
		return nil, "", err
	}
	for _, s := range sections {
		r := structure.NewReader(s.content)
		switch s.id {
		case sectionImport, sectionData:
			return nil, "", fmt.Errorf("it has a section %d, imports or data", s.id)
		case sectionType:
			if types := typesOf(r); len(types) == 1 {
				signature = types[0]
			}
		case sectionCode:
			if n := r.U32(); n != 1 {
				return nil, "", fmt.Errorf("there are %d functions instead of one", n)
			}
			body = r.Bytes(r.U32())
		}
		if r.Err() != nil {
			return nil, "", r.Err()
		}
	}
	if body == nil || signature == "" {
		return nil, "", errors.New("there is no function, or more than one type")
	}
	return body, signature, selfContained(body)
}

// selfContained refuses what refers to anything in the module around the function.
func selfContained(body []byte) error {
	const call, callIndirect, globalGet, globalSet, tableGet, tableSet, refFunc = 0x10, 0x11, 0x23, 0x24, 0x25, 0x26, 0xd2
	r := structure.NewReader(body)
	for n := r.U32(); n > 0 && r.Err() == nil; n-- {
		r.U32()
		r.Byte()
	}
	for r.Left() > 0 {
		op, n := structure.Instruction(r, math.MaxInt32)
		switch op {
		case call, callIndirect, globalGet, globalSet, tableGet, tableSet, refFunc:
			return fmt.Errorf("it has the instruction %#x: only what needs nothing around it can be linked", op)
		case structure.OpBlock, structure.OpLoop, structure.OpIf:
			if n >= 0 {
				return errors.New("it has a block with a type of the module's")
			}
		}
		if op>>8 == 0xfc && op&0xff > 7 && op&0xff != 10 && op&0xff != 11 { // bulk operations but memory.copy and fill
			return fmt.Errorf("it has the instruction %#x", op)
		}
	}
	return r.Err()
}

// typesOf is each function type as it stands.
func typesOf(r *structure.Reader) []string {
	var out []string
	for n := r.U32(); n > 0 && r.Err() == nil; n-- {
		from := r.At()
		r.Byte()
		r.Bytes(r.U32())
		r.Bytes(r.U32())
		out = append(out, string(r.From(from)))
	}
	return out
}

// withoutLast is the import section without its last entry, which must be the function
// to be linked, and that one's type.
func withoutLast(r *structure.Reader) (content []byte, signature uint32) {
	n := r.U32()
	content = binary.AppendUvarint(nil, uint64(n-1))
	from := r.At()
	for ; n > 0 && r.Err() == nil; n-- {
		end := r.At()
		module, name := r.Name(), r.Name()
		if kind := r.Byte(); kind != structure.KindFunc {
			r.Failf("imports %s.%s, which is no function", module, name)
		}
		signature = r.U32()
		last := module == simdModule && name == simdFunc
		if last != (n == 1) {
			r.Failf("%s.%s is not the last import, or not there", simdModule, simdFunc)
		}
		if last && r.Err() == nil {
			content = append(content, r.From(from)[:end-from]...)
		}
	}
	return content, signature
}

// oneMore is a vector with an entry put in front.
func oneMore(r *structure.Reader, entry []byte) []byte {
	n := r.U32()
	out := append(binary.AppendUvarint(nil, uint64(n)+1), entry...)
	return append(out, r.Bytes(uint32(r.Left()))...)
}
