//go:build !windows

package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"
)

// usageError is a mistake in the command line: it ends the process with exit code 2.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// What the library says about flags, in its words; the test of mistakes holds them to it.
const (
	libraryUnknownFlag  = "flag provided but not defined: -"
	libraryMissingValue = "flag needs an argument: -"
)

var libraryBadValue = regexp.MustCompile(`^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^:]+): `)

func badUsage(c *cli.Context, err error, _ bool) error {
	name, flags := "millrun", c.App.Flags
	if c.Command != nil && c.Command.HelpName != "" {
		name, flags = c.Command.HelpName, c.Command.Flags
	}
	text := err.Error()
	if flag, ok := strings.CutPrefix(text, libraryUnknownFlag); ok {
		text = "there is no flag " + dashed(flag)
	} else if flag, ok := strings.CutPrefix(text, libraryMissingValue); ok {
		text = dashed(flag) + " needs a value"
	} else if m := libraryBadValue.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("%s %q: it must be %s", dashed(m[2]), m[1], valueOf(flags, m[2]))
	}
	return usagef("%s: see '%s --help'", text, name)
}

// dashed is a flag as people type it.
func dashed(flag string) string {
	flag = strings.TrimLeft(flag, "-")
	if len(flag) == 1 {
		return "-" + flag
	}
	return "--" + flag
}

// valueOf says what a flag's value has to look like.
func valueOf(flags []cli.Flag, name string) string {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n != name {
				continue
			}
			switch f.(type) {
			case *cli.DurationFlag:
				return "a length of time, as 500ms or 2s"
			case *cli.BoolFlag:
				return "true or false"
			case *cli.IntFlag, *cli.Int64Flag, *cli.UintFlag, *cli.Uint64Flag:
				return "a whole number"
			}
		}
	}
	return "something else"
}

// quietUsage makes every command answer bad and missing flags with one line instead of its whole help, and unknown verbs
// below a group of verbs with the nearest ones. An argument is never taken for the library's own verb help, or h: topics and
// deployments may have these names.
func quietUsage(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = badUsage
		c.HideHelpCommand = len(c.Subcommands) == 0
		if required := takeRequired(c.Flags); len(required) > 0 {
			c.Before = func(ctx *cli.Context) error { return missingFlags(ctx, required) }
		}
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

// takeRequired returns the names of the flags that a command cannot do without, says so in their help, and keeps the library
// from looking for them itself: it prints a page of help where one is missing.
func takeRequired(flags []cli.Flag) (names []string) {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			if f.Required {
				f.Required, f.Usage, names = false, f.Usage+" (required)", append(names, f.Name)
			}
		case *cli.StringSliceFlag:
			if f.Required {
				f.Required, f.Usage, names = false, f.Usage+" (required)", append(names, f.Name)
			}
		}
	}
	return names
}

func missingFlags(c *cli.Context, required []string) error {
	var missing []string
	for _, name := range required {
		if !c.IsSet(name) {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return usagef("%s needs %s: see '%s --help'", c.Command.HelpName, joinWords(missing), c.Command.HelpName)
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

// wholeNumber is the value of an int flag, which must be from least to most.
func wholeNumber(c *cli.Context, flag string, least, most int) (int32, error) {
	n := c.Int(flag)
	if n < least || n > most {
		return 0, usagef("--%s %d is not between %d and %d", flag, n, least, most)
	}
	return int32(n), nil
}

// refusal is what the broker's HTTP side answered instead of doing what it was asked for.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// isRefusal tells whether the broker has answered with that status.
func isRefusal(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}
