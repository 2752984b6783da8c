//go:build !wasip1

package millrun

import (
	"bytes"
	"os"

	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
)

// Outside of WebAssembly, where a module's tests run, log lines go to stderr and
// there is no call.

func hostLog(_ Level, message string) { _, _ = os.Stderr.WriteString(message + "\n") }

func hostContext([]byte) int { return 0 }

func hostFind(text, needle []byte) int { return bytes.Index(text, needle) }

func hostEquals(a, b []byte) bool { return bytes.Equal(a, b) }

func hostJSONField(text []byte, dotted string) (at, size int, ok bool) {
	path, err := jsonscan.ParsePath(dotted)
	if err != nil {
		return 0, 0, false
	}
	return jsonscan.Find(text, path)
}
