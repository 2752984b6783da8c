//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// deployTimeout bounds a request to the HTTP side; compiling a module is the longest that one takes.
const deployTimeout = 2 * time.Minute

func httpFlag() cli.Flag {
	return &cli.StringFlag{Name: "http", Usage: "`ADDRESS` of a broker's HTTP side, a URL or host:port", EnvVars: []string{"MILLRUN_HTTP"}, Value: "http://" + defaultHTTP}
}

func httpBase(c *cli.Context) string {
	base := strings.TrimSuffix(c.String("http"), "/")
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	return base
}

// callHTTP sends a request to the broker's HTTP side and decodes the answer into out, if that is not nil; a
// []byte takes it as it is. An answer that is an error becomes a [*refusal], in the broker's own words.
func callHTTP(c *cli.Context, method, path, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(c.Context, method, httpBase(c)+path, body)
	if err != nil {
		return usagef("--http %s: %v", c.String("http"), err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	client := &http.Client{Timeout: deployTimeout}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no broker answers at %s: start one with 'millrun dev', or name another with --http (%w)", httpBase(c), err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", httpBase(c), err)
	}
	if resp.StatusCode/100 != 2 {
		var answer struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(text, &answer) != nil || answer.Error == "" {
			answer.Error = fmt.Sprintf("%s %s: %s: %.200s", method, path, resp.Status, bytes.TrimSpace(text))
		}
		return &refusal{status: resp.StatusCode, text: answer.Error}
	}
	if out == nil {
		return nil
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s: an answer that is not understood: %w", httpBase(c), err)
	}
	return nil
}
