package transform

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/millrun/millrun/core/meta"
)

// maxPatternBytes bounds an input that is a pattern, listed in spec/limits.md.
const maxPatternBytes = 512

// isPattern tells whether an input stands for all topics whose whole name matches what is between its slashes. No topic's
// name has a slash.
func isPattern(input string) bool { return strings.HasPrefix(input, "/") }

// compilePattern reads an input as /regular expression/, in Go's syntax.
func compilePattern(input string) (*regexp.Regexp, error) {
	inner, ok := strings.CutSuffix(input[1:], "/")
	switch {
	case !ok || inner == "":
		return nil, refuse(ErrInvalid, "--input %s: a pattern is a regular expression between two slashes, as /orders-.*/", input)
	case len(input) > maxPatternBytes:
		return nil, refuse(ErrInvalid, "--input %.40s...: a pattern has at most %d bytes", input, maxPatternBytes)
	}
	if _, err := regexp.Compile(inner); err != nil { // by itself, so that the error is about what was written
		return nil, refuse(ErrInvalid, "--input %s: %s", input, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	re, err := regexp.Compile(`\A(?:` + inner + `)\z`)
	if err != nil {
		return nil, refuse(ErrInvalid, "--input %s: %v", input, err)
	}
	return re, nil
}

// subscription is what a deployment reads: topics by their names, and those that match its patterns. It is immutable.
type subscription struct {
	names    []string // sorted
	patterns []*regexp.Regexp
	own      []string // what the deployment writes itself: no pattern means that
}

// subscriptionOf reads a deployment's inputs, which have been checked when it was deployed.
func subscriptionOf(d *meta.Deployment) *subscription {
	s := &subscription{own: writes(d)}
	for _, input := range d.Inputs {
		if !isPattern(input) {
			s.names = append(s.names, input)
		} else if re, err := compilePattern(input); err == nil {
			s.patterns = append(s.patterns, re)
		}
	}
	slices.Sort(s.names)
	return s
}

// writes are the topics that a deployment writes to, beside its guests' logs.
func writes(d *meta.Deployment) []string {
	if d.OnError != OnErrorDLQ {
		return d.Outputs
	}
	return append(slices.Clone(d.Outputs), d.DLQ)
}

// has tells whether a topic of that name is read. A pattern does not mean the deployment's own outputs, nor the broker's own
// topics, nor what modules log.
func (s *subscription) has(topic string) bool {
	if _, named := slices.BinarySearch(s.names, topic); named {
		return true
	}
	if len(s.patterns) == 0 || strings.HasPrefix(topic, "__") || isLogsTopic(topic) || slices.Contains(s.own, topic) {
		return false
	}
	return slices.ContainsFunc(s.patterns, func(re *regexp.Regexp) bool { return re.MatchString(topic) })
}

// topics are the names of what is read, sorted: those that were named, whether they exist or not, and those that exist and
// match.
func (s *subscription) topics(img *meta.Image) []string {
	topics := slices.Clone(s.names)
	if len(s.patterns) > 0 {
		for t := range img.Topics() {
			if !t.Internal && s.has(t.Name) {
				topics = append(topics, t.Name)
			}
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// touched tells whether a change of topics is about one that is read.
func (s *subscription) touched(changes iter.Seq2[*meta.Topic, *meta.Topic]) bool {
	for before, after := range changes {
		if before == nil {
			before = after
		}
		if s.has(before.Name) {
			return true
		}
	}
	return false
}

// inputs are the topics of a subscription as the cluster changes. It is asked for them often, and looks only at what has
// changed since it was asked before.
type inputs struct {
	*subscription
	cluster Cluster

	mu    sync.Mutex
	image *meta.Image // guarded by mu: as of which names is right
	names []string    // guarded by mu
}

func newInputs(c Cluster, d *meta.Deployment) *inputs {
	return &inputs{subscription: subscriptionOf(d), cluster: c}
}

// topics are the names of what is read now, sorted. The slice is shared: do not change it.
func (i *inputs) topics() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	img := i.cluster.Image()
	if i.image == nil || i.touched(meta.ChangedTopics(i.image, img)) {
		i.names = i.subscription.topics(img)
	}
	i.image = img
	return i.names
}

// inputPartitions are the partitions that a deployment reads, sorted.
func (d *Deployments) inputPartitions(img *meta.Image, deployment *meta.Deployment) []TopicPartition {
	var tps []TopicPartition
	for _, topic := range subscriptionOf(deployment).topics(img) {
		if t, ok := img.Topic(topic); ok {
			for p := range t.Partitions {
				tps = append(tps, TopicPartition{topic, int32(p)})
			}
		}
	}
	return tps
}

// inputTopics are the topics that a deployment reads now, sorted.
func (n *node) inputTopics(deployment *meta.Deployment) []string {
	return subscriptionOf(deployment).topics(n.Cluster.Image())
}

// widestInput is how many partitions the input has that has most, 1 if there is none.
func (n *node) widestInput(deployment *meta.Deployment) int32 {
	widest := int32(1)
	for _, topic := range n.inputTopics(deployment) {
		widest = max(widest, n.partitionCount(topic))
	}
	return widest
}
