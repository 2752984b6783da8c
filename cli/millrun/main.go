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
	"strings"
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
	missing := strings.HasPrefix(err.Error(), "Required flag") // the library's type for it is its own
	return missing || errors.As(err, &usage) || errors.As(err, &config)
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

// usageError is a mistake in the command line: it ends the process with exit code 2.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func badUsage(c *cli.Context, err error, _ bool) error {
	name := "millrun"
	if c.Command != nil && c.Command.HelpName != "" {
		name = c.Command.HelpName
	}
	return usagef("%v: see '%s --help'", err, name)
}

// quietUsage makes every command answer bad flags with one line instead of its whole help, and unknown verbs below a
// group of verbs with the nearest ones. An argument is never taken for the library's own verb help, or h: topics and
// deployments may have these names.
func quietUsage(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = badUsage
		c.HideHelpCommand = len(c.Subcommands) == 0
		if len(c.Subcommands) > 0 && c.Action == nil {
			group := c
			c.Action = func(ctx *cli.Context) error {
				if ctx.Args().Present() {
					return unknownVerb(group.Subcommands, "millrun "+group.Name, ctx.Args().First())
				}
				return usagef("%s needs a verb: see 'millrun %s --help'", group.Name, group.Name)
			}
		}
		quietUsage(c.Subcommands)
	}
}

func unknownVerb(commands []*cli.Command, parent, verb string) error {
	names := make([]string, 0, len(commands))
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return usagef("no verb %q: '%s' has %s", verb, parent, joinWords(names))
}
