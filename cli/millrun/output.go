//go:build !windows

package main

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// outputFlag is -o of every verb that prints something a script may want to read.
func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "o", Aliases: []string{"output-format"}, Usage: "output `FORMAT`: text or json", Value: "text",
		Action: func(_ *cli.Context, v string) error {
			if v != "text" && v != "json" {
				return usagef("-o %s: a format is text or json", v)
			}
			return nil
		}}
}

func wantsJSON(c *cli.Context) bool { return c.String("o") == "json" }

// writeJSON writes one value on one line.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func joinWords(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
