package api

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// apisRow is one row of spec/apis.md: key, name, lowest and highest version served.
var apisRow = regexp.MustCompile(`(?m)^\| (\d+) \| (\w+) \| (\d+) \| (\d+) \|`)

func TestTheTableIsWhatTheSpecificationSays(t *testing.T) {
	text, err := os.ReadFile("../../spec/apis.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range apisRow.FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, fmt.Sprint(row[1:]))
	}
	rows := table()
	for i, a := range rows {
		want := fmt.Sprint([]string{strconv.Itoa(int(a.key)), a.name, strconv.Itoa(int(a.min)), strconv.Itoa(int(a.max))})
		if i >= len(listed) || listed[i] != want {
			t.Fatalf("row %d of spec/apis.md is not %s", i+1, want)
		}
	}
	if len(listed) != len(rows) {
		t.Fatalf("spec/apis.md lists %d keys, the table %d", len(listed), len(rows))
	}
}

func TestEveryRowOfTheTableIsSound(t *testing.T) {
	last := int16(-1)
	for _, a := range table() {
		if a.key <= last {
			t.Errorf("%s is out of order", a.name)
		}
		last = a.key
		if kmsg.NameForKey(a.key) != a.name || a.min < 0 || a.max < a.min || (a.direct == nil) == (a.decoded == nil) {
			t.Errorf("row %+v", a)
		}
		if err := a.complete(); err != nil {
			t.Error(err)
		}
	}
}
