// Command millrun does not run on Windows, and says so.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "millrun: Windows is not supported: run it on Linux, on macOS, or in WSL")
	os.Exit(1)
}
