package meta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
)

// The golden file holds each sample as the first version wrote it. It only ever grows: what stands there is in logs.
func TestOldLogsCanBeRead(t *testing.T) {
	const file = "testdata/commands-v1.hex"
	if os.Getenv("MILLRUN_WRITE_GOLDEN") != "" {
		var out strings.Builder
		for _, c := range samples() {
			out.WriteString(hex.EncodeToString(AppendCommand(nil, c)) + "\n")
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	want := samples()
	if len(lines) > len(want) {
		t.Fatalf("%d golden commands, %d samples", len(lines), len(want))
	}
	for i, line := range lines {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		c, err := DecodeCommand(b)
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if got := AppendCommand(nil, c); !bytes.Equal(got, AppendCommand(nil, want[i])) {
			t.Errorf("line %d is read as %#v, not %#v", i+1, c, want[i])
		}
	}
}

func TestACommandOfANewerBinaryIsNotSkipped(t *testing.T) {
	for name, b := range map[string][]byte{
		"kind":    {commandFormat, 120, 1},
		"version": {commandFormat, byte(kindNoop), 2},
		"format":  {commandFormat + 1, byte(kindNoop), 1},
	} {
		if _, err := DecodeCommand(b); !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty":     {},
		"version 0": {commandFormat, byte(kindNoop)},
		"lying list": append([]byte{commandFormat, byte(kindDeleteTopics), 1},
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
	} {
		if _, err := DecodeCommand(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := writer{[]byte(snapshotMagic)}
	w.uvarint(snapshotVersion + 1)
	sum := sha256.Sum256(w.b)
	if _, err := DecodeSnapshot(append(w.b, sum[:]...)); !errors.Is(err, ErrUnknownCommand) {
		t.Errorf("snapshot: %v", err)
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range samples() {
		f.Add(AppendCommand(nil, c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		once := AppendCommand(nil, c)
		again, err := DecodeCommand(once)
		if err != nil {
			t.Fatalf("%#v does not survive: %v", c, err)
		}
		if !bytes.Equal(AppendCommand(nil, again), once) {
			t.Fatalf("%#v is not %#v", c, again)
		}
		img, _ := Apply(&Image{}, 1, c)
		if _, err := DecodeSnapshot(img.AppendSnapshot(nil)); err != nil && !strings.Contains(err.Error(), "twice") {
			t.Fatalf("the image after %#v: %v", c, err)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add((&Image{}).AppendSnapshot(nil))
	f.Add(withBrokers(f, 3).AppendSnapshot(nil))
	img := withBrokers(f, 2)
	for _, c := range samples() {
		img, _ = Apply(img, img.Seq()+1, c)
		f.Add(img.AppendSnapshot(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(b) - sha256.Size; n >= 0 { // else the fuzzer never gets past the checksum
			sum := sha256.Sum256(b[:n])
			b = append(b[:n:n], sum[:]...)
		}
		img, err := DecodeSnapshot(b)
		if err != nil {
			return
		}
		once := img.AppendSnapshot(nil)
		again, err := DecodeSnapshot(once)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.AppendSnapshot(nil), once) {
			t.Fatal("a snapshot is not read as it was written")
		}
	})
}
