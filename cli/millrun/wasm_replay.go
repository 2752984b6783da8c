//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
)

func wasmReplayCommand() *cli.Command {
	return &cli.Command{
		Name: "replay", Usage: "give dead letters to a deployment's module once more, after a fix", ArgsUsage: "NAME",
		Description: "Goes from where the last replay ended to the end of the dead-letter topic as it is now. What fails again is a dead letter anew.\n" +
			"The deployment may run, be paused or be stopped. The group NAME.replay holds how far it has come: reset it to replay again.",
		Flags:  []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag()},
		Action: wasmReplay,
	}
}

func wasmReplay(c *cli.Context) error {
	name, err := oneArgument(c, "a deployment's name")
	if err != nil {
		return err
	}
	var done, left atomic.Int64
	shown := showProgress(c.App.ErrWriter, func() string {
		return fmt.Sprintf("replaying %s: %s, %d left", name, count(int(done.Load()), "dead letter"), left.Load())
	})
	total, err := replayAll(c, name, func(r transform.Replay) {
		done.Store(r.Replayed)
		left.Store(r.Left)
	})
	shown.finish()
	if err != nil {
		if total.Replayed > 0 {
			err = fmt.Errorf("%w; %s: ask again to go on", err, replaySummary(total))
		}
		return err
	}
	if wantsJSON(c) {
		return writeJSON(c.App.Writer, total)
	}
	fmt.Fprintln(c.App.Writer, replaySummary(total))
	if total.Foreign > 0 {
		fmt.Fprintf(c.App.Writer, "passed over %s that are no dead letters of %s\n", count(int(total.Foreign), "record"), name)
	}
	if total.LastError != "" {
		fmt.Fprintf(c.App.Writer, "the last that failed: %s\n", total.LastError)
	}
	return nil
}

// replayAll asks until all is done that was there when the first request was made: the broker does it in pieces.
func replayAll(c *cli.Context, name string, progress func(transform.Replay)) (total transform.Replay, err error) {
	for {
		body := &bytes.Buffer{}
		if total.Until != nil {
			if err := json.NewEncoder(body).Encode(map[string]any{"until": total.Until}); err != nil {
				return total, err
			}
		}
		var r transform.Replay
		if err := callHTTP(c, http.MethodPost, "/v1/deployments/"+url.PathEscape(name)+"/replay", "application/json", body, &r); err != nil {
			return total, err
		}
		total.Replayed += r.Replayed
		total.Passed += r.Passed
		total.Dropped += r.Dropped
		total.Failed += r.Failed
		total.Foreign += r.Foreign
		total.Out += r.Out
		total.Left, total.Until = r.Left, r.Until
		if r.LastError != "" {
			total.LastError = r.LastError
		}
		progress(total)
		if r.Left == 0 {
			return total, nil
		}
	}
}

func replaySummary(r transform.Replay) string {
	return fmt.Sprintf("replayed %s: %d passed, %d dropped, %d failed again", count(int(r.Replayed), "dead letter"), r.Passed, r.Dropped, r.Failed)
}
