//go:build !windows

package main

import "github.com/urfave/cli/v2"

func wasmCommand() *cli.Command {
	return &cli.Command{
		Name:  "wasm",
		Usage: "write, test, deploy and watch WebAssembly consumers",
		Subcommands: []*cli.Command{
			wasmInitCommand(),
			wasmBuildCommand(),
			wasmTestCommand(),
			wasmDryRunCommand(),
			wasmDeployCommand(),
			wasmListCommand(),
			wasmDescribeCommand(),
			wasmLogsCommand(),
			wasmChangeCommand("pause", "leave the group and keep the offsets", "paused"),
			wasmChangeCommand("resume", "join the group again and go on where it was", "resumed"),
			wasmReplayCommand(),
			wasmUpgradeCommand(),
			wasmRollbackCommand(),
			wasmSaveCommand(),
			wasmDeleteCommand(),
		},
	}
}
