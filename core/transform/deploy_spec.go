package transform

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrun/millrun/core/meta"
)

// DeploySpec is what somebody asks for, under the names that the deploy verb's flags have: the JSON of the HTTP side, both
// ways. A field that is left out has the flag's default.
type DeploySpec struct {
	Name          string            `json:"name"`
	Module        string            `json:"module,omitempty"` // a shipped module's name; with the module's bytes, what to call it
	Input         []string          `json:"input"`
	Output        []string          `json:"output,omitempty"`
	Group         string            `json:"group,omitempty"`
	Config        map[string]string `json:"config,omitempty"`
	From          string            `json:"from,omitempty"`
	Partition     string            `json:"partition,omitempty"`
	Guarantee     string            `json:"guarantee,omitempty"`
	OnError       string            `json:"on-error,omitempty"`
	DLQ           string            `json:"dlq,omitempty"`
	Retries       *int32            `json:"retries,omitempty"`
	Timeout       string            `json:"timeout,omitempty"` // as 1s, 250ms
	Memory        string            `json:"memory,omitempty"`  // as 64MiB
	Members       int32             `json:"members,omitempty"`
	CreateOutputs bool              `json:"create-outputs,omitempty"`
}

// The defaults of a deployment.
const (
	DefaultRetries     = 3
	DefaultTimeout     = time.Second
	DefaultMemoryBytes = 64 << 20
	DefaultMembers     = 1
)

// The limits of a deployment, listed in spec/limits.md.
const (
	MaxModuleBytes = 10 << 20
	MaxTopics      = 64       // inputs, and outputs
	MaxConfigBytes = 64 << 10 // keys and values of the guest's config
	MaxMembers     = 64       // on one node
	MaxRetries     = 1_000_000
	MinTimeout     = time.Millisecond
	MaxTimeout     = 30 * time.Second // below the members' session timeout
	MinMemoryBytes = 64 << 10
	MaxMemoryBytes = 1 << 30 // the most that the host gives an instance
)

// The words of --partition, --guarantee and --on-error.
const (
	PartitionSame = "same"
	PartitionKey  = "key"

	AtLeastOnce = "at-least-once"
	ExactlyOnce = "exactly-once"

	OnErrorStop = "stop"
	OnErrorSkip = "skip"
	OnErrorDLQ  = "dlq"
)

// resolve checks the spec by itself, without the cluster, and fills in the defaults.
func (s *DeploySpec) resolve() (meta.Deployment, error) {
	d := meta.Deployment{
		Name: s.Name, Group: s.Group, Inputs: slices.Clone(s.Input), Outputs: slices.Clone(s.Output), Config: maps.Clone(s.Config),
		From: s.From, Partition: s.Partition, Guarantee: s.Guarantee, OnError: s.OnError, DLQ: s.DLQ,
		Retries: DefaultRetries, Members: s.Members, CreateOutputs: s.CreateOutputs, State: meta.DeploymentRunning,
	}
	setDefault(&d.Group, d.Name)
	setDefault(&d.From, "latest")
	setDefault(&d.Partition, PartitionSame)
	setDefault(&d.Guarantee, AtLeastOnce)
	setDefault(&d.OnError, OnErrorStop)
	if s.Retries != nil {
		d.Retries = *s.Retries
	}
	if d.Members == 0 {
		d.Members = DefaultMembers
	}
	for _, err := range []error{s.checkName(), checkTopics(&d), checkWords(&d), checkDeadLetters(&d), s.resolveLimits(&d)} {
		if err != nil {
			return d, err
		}
	}
	_, err := parseFrom(d.From)
	return d, err
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

func (s *DeploySpec) checkName() error {
	if s.Name == "" {
		return refuse(ErrInvalid, "the deployment has no name: give it one with --name")
	}
	if err := meta.CheckTopicName(s.Name); err != nil {
		return refuse(ErrInvalid, "deployment name %q: use letters, digits, '.', '_' and '-', at most %d", s.Name, meta.MaxNameLength)
	}
	return nil
}

func checkTopics(d *meta.Deployment) error {
	if len(d.Inputs) == 0 {
		return refuse(ErrInvalid, "deployment %s has no input topic: name one with --input", d.Name)
	}
	if len(d.Outputs) == 0 {
		return refuse(ErrInvalid, "deployment %s has no output topic: name one with --output", d.Name)
	}
	if len(d.Inputs) > MaxTopics || len(d.Outputs) > MaxTopics {
		return refuse(ErrInvalid, "deployment %s has more than %d inputs or outputs", d.Name, MaxTopics)
	}
	for _, in := range d.Inputs {
		if isPattern(in) {
			if _, err := compilePattern(in); err != nil {
				return err
			}
		}
		if slices.Contains(d.Outputs, in) {
			return refuse(ErrInvalid, "topic %s is an input and an output: its own records would come back for ever", in)
		}
	}
	for flag, topics := range map[string][]string{"--input": d.Inputs, "--output": d.Outputs} {
		for i, topic := range topics {
			if err := meta.CheckTopicName(topic); err != nil && (flag == "--output" || !isPattern(topic)) {
				return refuse(ErrInvalid, "%s %q: %v", flag, topic, err)
			}
			if slices.Contains(topics[:i], topic) {
				return refuse(ErrInvalid, "%s %s is given twice", flag, topic)
			}
		}
	}
	return nil
}

func checkWords(d *meta.Deployment) error {
	switch {
	case d.Partition != PartitionSame && d.Partition != PartitionKey:
		return refuse(ErrInvalid, "--partition %q: it is same or key", d.Partition)
	case d.Guarantee == ExactlyOnce:
		return refuse(ErrUnsupported, "--guarantee exactly-once needs transactions, which this version does not have; use at-least-once")
	case d.Guarantee != AtLeastOnce:
		return refuse(ErrInvalid, "--guarantee %q: it is exactly-once or at-least-once", d.Guarantee)
	case d.OnError != OnErrorStop && d.OnError != OnErrorSkip && d.OnError != OnErrorDLQ:
		return refuse(ErrInvalid, "--on-error %q: it is stop, skip or dlq", d.OnError)
	}
	return nil
}

func (s *DeploySpec) resolveLimits(d *meta.Deployment) error {
	timeout, memory, size := DefaultTimeout, int64(DefaultMemoryBytes), 0
	var err error
	if s.Timeout != "" {
		if timeout, err = time.ParseDuration(s.Timeout); err != nil {
			return refuse(ErrInvalid, "--timeout %q is no duration; write it as 1s or 250ms", s.Timeout)
		}
	}
	if s.Memory != "" {
		if memory, err = ParseBytes(s.Memory); err != nil {
			return refuse(ErrInvalid, "--memory %v", err)
		}
	}
	for k, v := range d.Config {
		size += len(k) + len(v)
	}
	switch {
	case timeout < MinTimeout || timeout > MaxTimeout:
		return refuse(ErrInvalid, "--timeout %s is not between %s and %s", timeout, MinTimeout, MaxTimeout)
	case memory < MinMemoryBytes || memory > MaxMemoryBytes:
		return refuse(ErrInvalid, "--memory %d bytes is not between 64KiB and 1GiB", memory)
	case d.Retries < 0 || d.Retries > MaxRetries:
		return refuse(ErrInvalid, "--retries %d is not between 0 and %d", d.Retries, MaxRetries)
	case d.Members < 1 || d.Members > MaxMembers:
		return refuse(ErrInvalid, "--members %d is not between 1 and %d", d.Members, MaxMembers)
	case size > MaxConfigBytes:
		return refuse(ErrInvalid, "--config has %d bytes, more than %d", size, MaxConfigBytes)
	}
	d.TimeoutMs, d.MemoryBytes = timeout.Milliseconds(), memory
	return nil
}

// ParseBytes reads a size as 65536, 64KiB, 64MiB or 1GiB.
func ParseBytes(s string) (int64, error) {
	number, unit := s, int64(1)
	for suffix, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = strings.TrimSpace(rest), n
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is no size; write it as 65536, 64KiB, 64MiB or 1GiB", s)
	}
	return n * unit, nil
}

// The timestamps that ListOffsets knows by themselves.
const (
	timestampLatest   = -1
	timestampEarliest = -2
)

// parseFrom returns the timestamp that --from means, as ListOffsets takes it.
func parseFrom(from string) (int64, error) {
	switch from {
	case "latest":
		return timestampLatest, nil
	case "earliest":
		return timestampEarliest, nil
	}
	if text, ok := strings.CutPrefix(from, "@"); ok {
		if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 {
			return ms, nil
		}
	}
	return 0, refuse(ErrInvalid, "--from %q: it is earliest, latest or @ and milliseconds since 1970", from)
}
