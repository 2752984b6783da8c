package wasmhost

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrun/millrun/wasmhost/abi"
)

// surround sets what the guest finds around it: the names of the outputs, and a
// module of Redpanda's its name, its configuration and its input too.
func (p *Program) surround(s *Spec) error {
	if !p.shape.redpanda {
		p.nameTopics(abi.EnvOutputTopic, s.Topics)
		return nil
	}
	p.args = []string{s.Name}
	for _, key := range slices.Sorted(maps.Keys(s.Config)) {
		value := s.Config[key]
		switch {
		case key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00"):
			return fmt.Errorf("its configuration %q cannot be an environment variable", key)
		case strings.HasPrefix(key, abi.EnvRedpanda):
			return fmt.Errorf("its configuration %s: names that begin with %s are the host's own", key, abi.EnvRedpanda)
		}
		p.environ = append(p.environ, key+"="+value)
	}
	if len(s.Inputs) > 0 {
		p.environ = append(p.environ, abi.EnvRedpandaInput+"="+s.Inputs[0])
	}
	p.nameTopics(abi.EnvRedpandaOutput, s.Topics)
	return nil
}

func (p *Program) nameTopics(prefix string, topics []string) {
	for n, topic := range topics {
		p.environ = append(p.environ, fmt.Sprintf("%s%d=%s", prefix, n, topic))
	}
}
