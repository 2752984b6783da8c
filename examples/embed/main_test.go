package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheProgramReadsBackWhatItWrote(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("three greetings were written, read: %q", lines)
	}
	for i, name := range []string{"Ada", "Emre", "Yuki"} {
		if !strings.HasSuffix(lines[i], "hello, "+name) {
			t.Errorf("line %d is %q", i+1, lines[i])
		}
	}
}
