//go:build !windows

package main

import (
	"os"

	"github.com/urfave/cli/v2"
)

const (
	defaultKafka = "127.0.0.1:9092"
	defaultHTTP  = "127.0.0.1:8090"
)

func devCommand() *cli.Command {
	return &cli.Command{
		Name:  "dev",
		Usage: "run one broker for development: topics appear when they are used, nothing to configure",
		Flags: append(serverFlags(),
			&cli.StringFlag{Name: "data", Usage: "keep the data in `DIR`"},
			&cli.BoolFlag{Name: "ephemeral", Usage: "keep the data in a temporary folder that is removed at exit (the default without --data)"},
		),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o, err := devOptions(c)
			if err != nil {
				return err
			}
			return serve(c.Context, o, nil)
		},
	}
}

// serverFlags are the flags of every verb that runs a broker. Their defaults do not look at the environment.
func serverFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kafka", Usage: "listen `ADDRESS` for Kafka clients; port 0 takes a free one", Value: defaultKafka},
		&cli.StringFlag{Name: "http", Usage: "listen `ADDRESS` for deployments, metrics and health", Value: defaultHTTP},
		&cli.StringFlag{Name: "ready-file", Usage: "write the addresses and the process id to `FILE` once requests are served"},
		&cli.StringSliceFlag{Name: "set", KeepSpace: true, Usage: "a broker setting under Kafka's `NAME=VALUE`; may be repeated"},
		&cli.BoolFlag{Name: "insecure", Usage: "listen on addresses that other machines can reach, without authentication"},
	}
}

// devOptions reads the flags that dev and demo share. Settings given by --set win over those of a development broker.
func devOptions(c *cli.Context) (serveOptions, error) {
	if c.String("data") != "" && c.Bool("ephemeral") {
		return serveOptions{}, usagef("--data and --ephemeral exclude each other: leave one out")
	}
	settings, err := parseSettings(c.StringSlice("set"))
	if err != nil {
		return serveOptions{}, err
	}
	for name, value := range map[string]string{
		"group.initial.rebalance.delay.ms": "0",
		"auto.create.topics.enable":        "true",
		"num.partitions":                   "4",
	} {
		if _, given := settings[name]; !given {
			settings[name] = value
		}
	}
	return serveOptions{
		verb: c.Command.Name, dataDir: c.String("data"), kafka: c.String("kafka"), http: c.String("http"), settings: settings,
		readyFile: c.String("ready-file"), insecure: c.Bool("insecure"), stdout: c.App.Writer, stderr: c.App.ErrWriter, logLevel: os.Getenv("MILLRUN_LOG"),
	}, nil
}

func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("%s takes no argument, but was given %q", c.Command.HelpName, c.Args().First())
	}
	return nil
}
