//go:build !windows

package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrun/millrun/core/transform"
)

// A case is a failing record in one file, with all that is needed to see it fail again: a zip archive of three entries.
//
//	config.json   caseConfig
//	record.json   the record, as consume -o json prints it
//	module.wasm   the module
const (
	caseFormat     = 1
	caseExtension  = ".millcase"
	caseConfigName = "config.json"
	caseRecordName = "record.json"
	caseModuleName = "module.wasm"
)

// The limits of a case, listed in spec/limits.md: it is a file that somebody else may have sent.
const (
	maxCaseConfigBytes = 1 << 20
	maxCaseRecordBytes = 64 << 20
	maxCaseBytes       = maxCaseConfigBytes + maxCaseRecordBytes + transform.MaxModuleBytes + 64<<10
)

// caseConfig is config.json.
type caseConfig struct {
	Format  int               `json:"format"`
	Name    string            `json:"name"` // of the deployment, or of the module
	Module  caseModule        `json:"module"`
	Config  map[string]string `json:"config"`
	Inputs  []string          `json:"inputs"`
	Outputs []string          `json:"outputs"`
	Timeout string            `json:"timeout"`
	Memory  int64             `json:"memory_bytes"`
	Failure failureView       `json:"failure"`
	Time    time.Time         `json:"time"` // when it failed
}

type caseModule struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	Version int32  `json:"version,omitempty"`
}

// savedCase is a case in memory.
type savedCase struct {
	config caseConfig
	record recordView
	module []byte
}

// newCase is a record that failed in a trial.
func newCase(t *trial, record recordView, failed failureView, at time.Time) *savedCase {
	sum := sha256.Sum256(t.module)
	return &savedCase{record: record, module: t.module, config: caseConfig{
		Format: caseFormat, Name: t.name, Module: caseModule{Name: t.moduleName, SHA256: hex.EncodeToString(sum[:])}, Config: t.config, Inputs: t.inputs,
		Outputs: t.outputs, Timeout: t.timeout.String(), Memory: t.memory, Failure: failed, Time: at,
	}}
}

// fileName names the case by its record.
func (s *savedCase) fileName() string {
	partition, offset := int32(0), int64(0)
	if s.record.Partition != nil {
		partition = *s.record.Partition
	}
	if s.record.Offset != nil {
		offset = *s.record.Offset
	}
	stem := strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '_'
	}, s.config.Name+"-"+s.record.Topic)
	if len(stem) > 180 { // file systems take 255 bytes
		sum := sha256.Sum256([]byte(stem))
		stem = stem[:160] + "-" + hex.EncodeToString(sum[:8])
	}
	return fmt.Sprintf("%s-%d-%d%s", stem, partition, offset, caseExtension)
}

// save writes the case into a folder, which is made if it is not there, and returns the file's path.
func (s *savedCase) save(dir string) (string, error) {
	text, err := s.encode()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, s.fileName())
	f, err := os.CreateTemp(dir, ".case-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // half a case is of no use
		return "", err
	}
	return path, nil
}

func (s *savedCase) encode() ([]byte, error) {
	var config, record bytes.Buffer
	if err := errors.Join(writeJSON(&config, s.config), writeJSON(&record, s.record)); err != nil {
		return nil, err
	}
	if config.Len() > maxCaseConfigBytes || record.Len() > maxCaseRecordBytes || len(s.module) > transform.MaxModuleBytes {
		return nil, fmt.Errorf("the record, its module or their configuration are too large for a case: %d, %d and %d bytes", record.Len(), len(s.module), config.Len())
	}
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, entry := range []struct {
		name string
		text []byte
	}{{caseConfigName, config.Bytes()}, {caseRecordName, record.Bytes()}, {caseModuleName, s.module}} {
		w, err := archive.Create(entry.name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(entry.text); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return out.Bytes(), err
}

// isCase tells whether a file is a case and not a module, by its first bytes.
func isCase(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == "PK\x03\x04"
}

func readCase(path string) (*savedCase, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCaseBytes+1))
	if err != nil {
		return nil, err
	}
	s, err := decodeCase(text)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", path, err)
	}
	return s, nil
}

// decodeCase trusts nothing: sizes are bounded whatever the archive says of them, and the module is what its hash says.
func decodeCase(text []byte) (*savedCase, error) {
	if len(text) > maxCaseBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxCaseBytes)
	}
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, fmt.Errorf("it is no archive: %w", err)
	}
	s := &savedCase{}
	config, err := readEntry(archive, caseConfigName, maxCaseConfigBytes)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(config, &s.config); err != nil {
		return nil, fmt.Errorf("%s: %w", caseConfigName, err)
	}
	if s.config.Format != caseFormat {
		return nil, fmt.Errorf("it has format %d, and this version of millrun reads format %d", s.config.Format, caseFormat)
	}
	record, err := readEntry(archive, caseRecordName, maxCaseRecordBytes)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(record, &s.record); err != nil {
		return nil, fmt.Errorf("%s: %w", caseRecordName, err)
	}
	if s.module, err = readEntry(archive, caseModuleName, transform.MaxModuleBytes); err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(s.module); s.config.Module.SHA256 != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("%s is not the module with SHA-256 %.64s", caseModuleName, s.config.Module.SHA256)
	}
	return s, nil
}

// readEntry reads the only entry of that name.
func readEntry(archive *zip.Reader, name string, limit int64) ([]byte, error) {
	var found *zip.File
	for _, f := range archive.File {
		if f.Name != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		found = f
	}
	if found == nil {
		return nil, fmt.Errorf("%s is missing", name)
	}
	r, err := found.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return text, nil
}

// trial is the case's module with the case's settings.
func (s *savedCase) trial() (*trial, error) {
	timeout, err := time.ParseDuration(s.config.Timeout)
	if err != nil || timeout <= 0 {
		return nil, fmt.Errorf("%s: timeout %q is no time", caseConfigName, s.config.Timeout)
	}
	t := &trial{
		name: s.config.Name, moduleName: s.config.Module.Name, module: s.module, config: s.config.Config, inputs: s.config.Inputs,
		outputs: s.config.Outputs, memory: s.config.Memory, timeout: min(timeout, transform.MaxTimeout),
	}
	if len(t.outputs) == 0 || len(t.outputs) > transform.MaxTopics || len(t.inputs) > transform.MaxTopics {
		return nil, fmt.Errorf("%s: %d inputs and %d outputs", caseConfigName, len(t.inputs), len(t.outputs))
	}
	return t, nil
}
