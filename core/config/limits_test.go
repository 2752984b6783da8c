package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTheLimitsOnPaperAreThoseOfTheCode(t *testing.T) {
	b, err := os.ReadFile("../../spec/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z.]+)` \\| ([^|]*) \\| [^|]* \\| ([^|]*)\\| ([^|]*)\\|$").FindAllStringSubmatch(string(b), -1)
	own := map[string]bool{}
	for _, row := range rows {
		d, ok := BrokerDef(row[1])
		if !ok {
			t.Errorf("%s is no broker setting", row[1])
			continue
		}
		if want := strings.Trim(row[2], "* "); want != d.Default {
			t.Errorf("%s: default %q on paper, %q in the code", d.Name, want, d.Default)
		}
		if paper := strings.TrimSpace(row[3]) == "yes"; paper != d.Dynamic() {
			t.Errorf("%s: changeable at run time: %v on paper, %v in the code", d.Name, paper, d.Dynamic())
		}
		if paper := strings.TrimSpace(row[4]) == "ours"; paper != d.Own {
			t.Errorf("%s: ours: %v on paper, %v in the code", d.Name, paper, d.Own)
		}
		if !d.Acted {
			t.Errorf("%s bounds nothing", d.Name)
		}
		own[d.Name] = d.Own
	}
	for i := range Broker {
		if Broker[i].Own && !own[Broker[i].Name] {
			t.Errorf("%s is not in spec/limits.md", Broker[i].Name)
		}
	}
}
