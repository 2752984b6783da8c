//go:build !windows

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"
)

func serverCommand() *cli.Command {
	return &cli.Command{
		Name:  "server",
		Usage: "run one broker from a configuration file",
		Flags: append(serverFlags(),
			&cli.StringFlag{Name: "config", Usage: "a YAML `FILE` of settings under Kafka's flat names", Required: true},
		),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			settings, err := readSettingsFile(c.String("config"))
			if err != nil {
				return err
			}
			given, err := parseSettings(c.StringSlice("set"))
			if err != nil {
				return err
			}
			for name, value := range given {
				settings[name] = value
			}
			dir := settings["log.dirs"]
			if dir == "" {
				dir = settings["log.dir"]
			}
			if dir == "" {
				return usagef("%s: log.dirs is missing: name the folder that holds the data", c.String("config"))
			}
			if strings.Contains(dir, ",") {
				return usagef("%s: log.dirs: %q names several folders, and one is supported", c.String("config"), dir)
			}
			o := serveOptions{verb: "server", dataDir: dir, http: c.String("http"), settings: settings, readyFile: c.String("ready-file"),
				insecure: c.Bool("insecure"), stdout: c.App.Writer, stderr: c.App.ErrWriter, logLevel: os.Getenv("MILLRUN_LOG")}
			if c.IsSet("kafka") || settings["listeners"] == "" {
				o.kafka = c.String("kafka")
			}
			return serve(c.Context, o, nil)
		},
	}
}

// parseSettings reads the values of --set.
func parseSettings(pairs []string) (map[string]string, error) {
	settings := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, usagef("--set %s: write it as name=value", pair)
		}
		settings[name] = value
	}
	return settings, nil
}

// readSettingsFile reads a YAML mapping of Kafka's flat names to scalars or lists of scalars; a list is what Kafka
// writes with commas.
func readSettingsFile(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var document map[string]yaml.Node
	if err := yaml.NewDecoder(f).Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, usagef("%s: %v", path, err)
	}
	settings := make(map[string]string, len(document))
	for name, node := range document {
		value, err := settingValue(&node)
		if err != nil {
			return nil, usagef("%s:%d: %s: %v", path, node.Line, name, err)
		}
		settings[name] = value
	}
	return settings, nil
}

func settingValue(node *yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return "", nil
		}
		return node.Value, nil
	case yaml.SequenceNode:
		parts := make([]string, 0, len(node.Content))
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return "", fmt.Errorf("a list holds plain values")
			}
			parts = append(parts, item.Value)
		}
		return strings.Join(parts, ","), nil
	}
	return "", fmt.Errorf("settings are flat: write the whole dotted name on one line, as in \"log.retention.ms: 1000\"")
}
