//go:build !windows

package main

import (
	"bufio"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/seglog"
)

func logCommand() *cli.Command {
	return &cli.Command{
		Name:  "log",
		Usage: "print and check the files of a data directory, while no broker runs on it",
		Subcommands: []*cli.Command{
			{Name: "dump", Usage: "print the batches of a segment, a partition's folder or a data directory", ArgsUsage: "DIR|FILE", Action: logDump,
				Flags: []cli.Flag{outputFlag(), &cli.BoolFlag{Name: "records", Usage: "each batch's records too"}}},
			{Name: "verify", Usage: "check every file of a partition's folder or a data directory; changes nothing", ArgsUsage: "DIR", Action: logVerify,
				Flags: []cli.Flag{outputFlag()}},
		},
	}
}

func logDump(c *cli.Context) error {
	path, err := oneArgument(c, "a folder or a file")
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(c.App.Writer, 64<<10)
	err = seglog.Dump(out, seglog.OS(), path, seglog.DumpOptions{Records: c.Bool("records"), JSON: wantsJSON(c)})
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	return err
}

// logVerify prints one line for each finding. Findings about files that the broker makes anew by itself are no failure.
func logVerify(c *cli.Context) error {
	dir, err := oneArgument(c, "a folder")
	if err != nil {
		return err
	}
	damaged, derived := 0, 0
	var printErr error
	shown := showProgress(c.App.ErrWriter, elapsed("reading "+dir))
	verified, err := seglog.Verify(seglog.OS(), dir, func(f seglog.Finding) {
		if f.Derived {
			derived++
		} else {
			damaged++
		}
		if wantsJSON(c) {
			printErr = firstError(printErr, writeJSON(c.App.Writer, f))
			return
		}
		fmt.Fprintf(c.App.Writer, "%s: position %d: %s\n", f.File, f.Position, f.Why)
	})
	shown.finish()
	if err := firstError(err, printErr); err != nil {
		return err
	}
	if damaged > 0 {
		return fmt.Errorf("%s: %s", dir, count(damaged, "damaged place"))
	}
	if !wantsJSON(c) {
		fmt.Fprintf(c.App.Writer, "%s: sound: %+v\n", dir, verified)
	}
	return nil
}
