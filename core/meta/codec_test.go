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

// A golden file holds the samples that a version had, as it wrote them. What stands there is in logs: no file changes.
var goldenCommands = []string{"testdata/commands-v1.hex", "testdata/commands-v2.hex", "testdata/commands-v3.hex"}

func TestOldLogsCanBeRead(t *testing.T) {
	want := samples()
	if os.Getenv("MILLRUN_WRITE_GOLDEN") != "" {
		var out strings.Builder
		for _, c := range want {
			out.WriteString(hex.EncodeToString(AppendCommand(nil, c)) + "\n")
		}
		if err := os.WriteFile(goldenCommands[len(goldenCommands)-1], []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range goldenCommands {
		lines := goldenLines(t, file)
		if len(lines) > len(want) {
			t.Fatalf("%s: %d golden commands, %d samples", file, len(lines), len(want))
		}
		for i, line := range lines {
			c, err := DecodeCommand(line)
			if err != nil {
				t.Fatalf("%s line %d: %v", file, i+1, err)
			}
			if got := AppendCommand(nil, c); !bytes.Equal(got, AppendCommand(nil, want[i])) {
				t.Errorf("%s line %d is read as %#v, not %#v", file, i+1, c, want[i])
			}
		}
	}
}

func goldenLines(t *testing.T, file string) (lines [][]byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Fields(string(text)) {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, b)
	}
	return lines
}

// The golden snapshot is the image after all samples of version 1 and their deployment once more.
func TestAnOldSnapshotCanBeRead(t *testing.T) {
	old, err := DecodeSnapshot(goldenLines(t, "testdata/snapshot-v1.hex")[0])
	if err != nil {
		t.Fatal(err)
	}
	want := withBrokers(t, 2)
	commands := samples()[:16]
	for _, c := range append(commands, commands[12]) {
		want, _ = Apply(want, want.Seq()+1, c)
	}
	if len(want.Deployments()) != 1 || old.Hash() != want.Hash() {
		t.Errorf("read as %+v with %+v", old, old.Deployments())
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
