//go:build !windows

package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder moves the flags of a command line in front of its arguments, because urfave/cli stops looking for flags at
// the first argument and knows a command's flags only behind its name. What follows "--" stays as it is. A flag that
// no command knows is left in its place, so that the parser complains about it by name.
func reorder(app *cli.App, argv []string) []string {
	if len(argv) == 0 || argv[len(argv)-1] == completionWord { // the shell's own word has to stay the last
		return argv
	}
	path, rest, early := []string{argv[0]}, argv[1:], []string(nil)
	commands, flags := app.Commands, app.Flags
	var floating []string // flags seen before the verb they belong to
	for len(commands) > 0 && len(rest) > 0 {
		if word := rest[0]; strings.HasPrefix(word, "-") && word != "-" && word != "--" {
			n := min(flagWords(allFlags(app.Commands, flags), rest), len(rest))
			if known(app.Flags, word) {
				early = append(early, rest[:n]...)
			} else {
				floating = append(floating, rest[:n]...)
			}
			rest = rest[n:]
			continue
		}
		command := find(commands, rest[0])
		if command == nil { // no such verb: what is said about it comes first
			return append(append(append(append([]string{path[0]}, early...), path[1:]...), rest...), floating...)
		}
		path, rest = append(path, rest[0]), rest[1:]
		commands, flags = command.Subcommands, command.Flags
	}
	rest = append(floating, rest...)
	out := append([]string{path[0]}, early...)
	out = append(out, path[1:]...)
	given, args := split(flags, rest)
	return append(append(out, given...), args...)
}

// split parts the words behind a verb into flags (with their values) and arguments. Behind a last flag without its value there
// are no arguments, or the first would be taken for the value.
func split(flags []cli.Flag, words []string) (given, args []string) {
	for len(words) > 0 {
		word := words[0]
		if word == "--" {
			return given, append(append(args, "--"), words[1:]...)
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			args, words = append(args, word), words[1:]
			continue
		}
		n := flagWords(flags, words)
		if n > len(words) {
			return append(given, words...), nil
		}
		given, words = append(given, words[:n]...), words[n:]
	}
	return given, args
}

// flagWords says how many words the flag at the head of words takes: 2 if its value is a word of its own.
func flagWords(flags []cli.Flag, words []string) int {
	name, _, joined := strings.Cut(strings.TrimLeft(words[0], "-"), "=")
	if joined {
		return 1
	}
	for _, f := range flags {
		for _, n := range f.Names() {
			if n != name {
				continue
			}
			if _, isBool := f.(*cli.BoolFlag); isBool {
				return 1
			}
			return 2
		}
	}
	return 1
}

func known(flags []cli.Flag, word string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return true
			}
		}
	}
	return false
}

func allFlags(commands []*cli.Command, flags []cli.Flag) []cli.Flag {
	all := append([]cli.Flag(nil), flags...)
	for _, c := range commands {
		all = append(all, c.Flags...)
		all = allFlags(c.Subcommands, all)
	}
	return all
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}
