//go:build !windows

// Command millrun is a streaming broker that Kafka clients use unchanged, and the tools to work with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/broker"
	"github.com/millrun/millrun/wasmhost"
)

// The exit codes of every verb.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == wasmhost.CompileVerb { // no verb for people: a broker's child
		os.Exit(wasmhost.CompileMain(os.Args[2:], os.Stdin, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code and writes one line to stderr for an error.
func run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := newApp(stdin, stdout, stderr)
	err := app.RunContext(ctx, reorder(app, argv))
	if err == nil {
		return 0
	}
	if err.Error() != "" {
		fmt.Fprintf(stderr, "millrun: %v\n", err)
	}
	if isUsage(err) {
		return exitUsage
	}
	return exitFailed
}

// isUsage tells mistakes in the command line and in settings from what went wrong in the doing.
func isUsage(err error) bool {
	var usage *usageError
	var config *broker.ConfigError
	return errors.As(err, &usage) || errors.As(err, &config)
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:                      "millrun",
		Usage:                     "a streaming broker for Kafka clients, with WebAssembly consumers inside",
		Version:                   version(),
		HideVersion:               true,
		Reader:                    stdin,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		Commands:                  commands(),
		ExitErrHandler:            func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownVerb(c.App.Commands, "millrun", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	quietUsage(app.Commands)
	app.OnUsageError = badUsage
	return app
}
