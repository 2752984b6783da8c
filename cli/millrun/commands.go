//go:build !windows

package main

import "github.com/urfave/cli/v2"

// commands is every verb, in the order in which the help shows them.
func commands() []*cli.Command {
	return []*cli.Command{
		devCommand(),
		demoCommand(),
		serverCommand(),
		topicCommand(),
		produceCommand(),
		consumeCommand(),
		groupCommand(),
		wasmCommand(),
		logCommand(),
		completionCommand(),
		versionCommand(),
	}
}
