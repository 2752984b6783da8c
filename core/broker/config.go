// Package broker composes one node out of the packages of core, and reconciles it with the metadata. It can be embedded:
// [Start] takes no flags, reads no environment and changes nothing of the process it runs in.
package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/transform"
)

// Config is what a broker is made of. The zero Config is an ephemeral broker on free ports of the loopback interface.
type Config struct {
	// DataDir holds everything that the broker keeps. Empty: a temporary folder, removed by Close.
	DataDir string
	// Kafka and HTTP are listen addresses, host:port; port 0 takes a free one. If Kafka is empty, the setting "listeners"
	// decides, and without it a free port of 127.0.0.1; if HTTP is empty, a free port of 127.0.0.1.
	Kafka, HTTP string
	// Settings are broker settings under Kafka's flat names.
	Settings map[string]string
	// Insecure allows to listen on addresses that other machines can reach, though nobody has to authenticate.
	Insecure bool
	// Runner compiles and runs modules; package wasmhost is made for it. Nil: deployments are refused. Where modules are
	// compiled is the Runner's choice: millrun itself has a child process do it, other programs compile in their own
	// unless they ask for wasmhost.CompileChild.
	Runner transform.Runner
	// Shipped returns the modules that may be deployed by name. Nil: there are none.
	Shipped func(name string) ([]byte, bool)
	// Logger takes what an operator has to know. Nil: nothing is logged.
	Logger *slog.Logger
	// Version is shown by the metrics and the health page.
	Version string
}

// ConfigError is the error of a Config that no broker can be made of, whatever the machine is like.
type ConfigError struct{ err error }

func (e *ConfigError) Error() string { return e.err.Error() }

// Unwrap gives the reason.
func (e *ConfigError) Unwrap() error { return e.err }

const freeLoopbackPort = "127.0.0.1:0"

// plan is a checked Config.
type plan struct {
	Config
	settings  *config.BrokerSettings
	ephemeral bool
	// advertised is what clients are told to connect to; with port 0 the one that was bound.
	advertised endpoint
}

// endpoint is a listener's name and address.
type endpoint struct {
	listener, host string
	port           int
}

// check reads the settings and refuses what would expose the broker.
func (c Config) check() (_ *plan, err error) {
	p := &plan{Config: c}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	if err := p.chooseDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && p.ephemeral {
			os.Remove(p.DataDir) // made above, and empty
		}
	}()
	settings, warnings, err := config.ParseBroker(p.described())
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		p.Logger.Warn(w)
	}
	p.settings = settings
	if p.HTTP == "" {
		p.HTTP = freeLoopbackPort
	}
	listener := "PLAINTEXT"
	if p.Kafka == "" {
		if listener, p.Kafka, err = listenSetting(settings); err != nil {
			return nil, err
		}
	}
	for what, address := range map[string]string{"Kafka": p.Kafka, "HTTP": p.HTTP} {
		if err := p.checkAddress(what, address); err != nil {
			return nil, err
		}
	}
	return p, p.advertise(listener)
}

// described are the settings given, with those that fields of the Config stand for: DescribeConfigs shows them too.
func (p *plan) described() map[string]string {
	all := maps.Clone(p.Settings)
	if all == nil {
		all = map[string]string{}
	}
	if all["log.dirs"] == "" && all["log.dir"] == "" {
		all["log.dirs"] = p.DataDir
	}
	if _, port, err := net.SplitHostPort(p.Kafka); err == nil && port != "0" {
		all["listeners"] = "PLAINTEXT://" + p.Kafka
	}
	return all
}

// listenSetting reads the one listener that the setting "listeners" names.
func listenSetting(s *config.BrokerSettings) (listener, address string, err error) {
	if !s.IsSet("listeners") {
		return "PLAINTEXT", freeLoopbackPort, nil
	}
	all := s.List("listeners")
	if len(all) != 1 {
		return "", "", fmt.Errorf("listeners: %d are named, and one is supported", len(all))
	}
	return splitListener("listeners", all[0])
}

func splitListener(setting, value string) (listener, address string, err error) {
	listener, address, ok := strings.Cut(value, "://")
	if !ok {
		return "", "", fmt.Errorf("%s: %q: write it as PLAINTEXT://host:port", setting, value)
	}
	if listener != "PLAINTEXT" {
		return "", "", fmt.Errorf("%s: %q: the listener %s is not supported yet, PLAINTEXT is", setting, value, listener)
	}
	return listener, address, nil
}

// checkAddress refuses an address that other machines can reach unless that was asked for: nobody has to authenticate.
func (p *plan) checkAddress(what, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s listen address %q: write it as host:port (%w)", what, address, err)
	}
	if p.Insecure || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s listen address %q can be reached by other machines, and nobody has to authenticate: listen on 127.0.0.1, or say --insecure", what, address)
}

func (p *plan) advertise(listener string) error {
	p.advertised.listener = listener
	host, _, _ := net.SplitHostPort(p.Kafka)
	if !p.settings.IsSet("advertised.listeners") {
		if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
			return fmt.Errorf("Kafka listen address %q is no address that a client can connect to: set advertised.listeners", p.Kafka)
		}
		p.advertised.host = host
		return nil
	}
	all := p.settings.List("advertised.listeners")
	if len(all) != 1 {
		return fmt.Errorf("advertised.listeners: %d are named, and one is supported", len(all))
	}
	_, address, err := splitListener("advertised.listeners", all[0])
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("advertised.listeners: %q: %w", all[0], err)
	}
	p.advertised.host = host
	if p.advertised.port, err = strconv.Atoi(port); err != nil || p.advertised.port < 0 || p.advertised.port > 65535 {
		return fmt.Errorf("advertised.listeners: %q: the port is not a number from 0 to 65535", all[0])
	}
	return nil
}

func (p *plan) chooseDir() error {
	if p.DataDir != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "millrun-")
	if err != nil {
		return errors.Join(errors.New("no temporary folder for the data"), err)
	}
	p.DataDir, p.ephemeral = dir, true
	return nil
}
