package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
)

// configChange is what a request wants to be done to the settings of one resource.
type configChange struct {
	kind         kmsg.ConfigResourceType
	name         string
	replace      bool // by the operations alone, which all set; else they are applied to what there is
	operations   []configOperation
	validateOnly bool
}

type configOperation struct {
	name  string
	op    kmsg.IncrementalAlterConfigOp
	value *string
}

// changeConfigs carries out a change. It returns once this broker acts by it.
func (h *Handler) changeConfigs(ctx context.Context, c *configChange) error {
	decide, err := h.configDecision(c)
	if err != nil {
		return err
	}
	if c.validateOnly {
		_, err = decide(h.cfg.Cluster.Image())
		return err
	}
	_, err = h.cfg.Cluster.Change(ctx, decide)
	return err
}

type decision func(*meta.Image) (meta.Command, error)

// configDecision checks what can be checked without an image.
func (h *Handler) configDecision(c *configChange) (decision, error) {
	if err := c.checkOperations(); err != nil {
		return nil, err
	}
	switch c.kind {
	case kmsg.ConfigResourceTypeTopic:
		if c.name == "" {
			return nil, &refusal{codeInvalidRequest, "Default topic resources are not allowed."}
		}
		return func(img *meta.Image) (meta.Command, error) { return h.decideTopicConfigs(img, c) }, nil
	case kmsg.ConfigResourceTypeBroker:
		node := meta.ClusterDefault
		if c.name != "" {
			err := h.checkNode(c.name, "Node id must be an integer, but it is: %s", "Unexpected broker id, expected %d, but received %d")
			if err != nil {
				return nil, err
			}
			node = h.cfg.NodeID
		}
		return func(img *meta.Image) (meta.Command, error) { return h.decideBrokerConfigs(img, node, c) }, nil
	case kmsg.ConfigResourceTypeGroupConfig:
		return h.decideGroupConfigs(c)
	case kmsg.ConfigResourceTypeClientMetrics:
		return nil, &refusal{codeInvalidRequest, "This broker stores no settings of client metrics subscriptions"}
	}
	return nil, &refusal{codeInvalidRequest, fmt.Sprintf("Unknown resource type %d", c.kind)}
}

// checkOperations finds keys that are given twice, and values that are missing.
func (c *configChange) checkOperations() error {
	seen := make(map[string]bool, len(c.operations))
	var missing []string
	for _, o := range c.operations {
		if seen[o.name] {
			return &refusal{codeInvalidRequest, "Error due to duplicate config keys"}
		}
		seen[o.name] = true
		if o.value == nil && o.op != kmsg.IncrementalAlterConfigOpDelete {
			missing = append(missing, o.name)
		}
		if o.op < kmsg.IncrementalAlterConfigOpSet || o.op > kmsg.IncrementalAlterConfigOpSubtract {
			return &refusal{codeInvalidRequest, fmt.Sprintf("Unknown operation type %d", o.op)}
		}
	}
	if len(missing) > 0 {
		return &refusal{codeInvalidRequest, "Null value not supported for : " + strings.Join(missing, ",")}
	}
	return nil
}

func (h *Handler) decideTopicConfigs(img *meta.Image, c *configChange) (meta.Command, error) {
	if err := meta.CheckTopicName(c.name); err != nil {
		return nil, err
	}
	t, ok := img.Topic(c.name)
	if !ok {
		return nil, &refusal{codeUnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", c.name)}
	}
	settings := h.settingsOf(img)
	configs, err := c.apply(t.Configs, func(o configOperation) (string, error) {
		if d, ok := config.TopicDef(o.name); !ok || d.Type != config.List {
			return "", &refusal{codeInvalidConfig, fmt.Sprintf("Can't %s to key %s because its type is not LIST.", operationName(o.op), o.name)}
		}
		return settings.TopicValue(o.name, t.Configs), nil
	})
	if err != nil {
		return nil, err
	}
	if err := config.CheckTopicSet(settings, configs); err != nil {
		return nil, err
	}
	return meta.DecideAlterTopicConfigs(img, c.name, configs)
}

func (h *Handler) decideBrokerConfigs(img *meta.Image, node meta.NodeID, c *configChange) (meta.Command, error) {
	stored := img.BrokerConfigs(node)
	settings := h.settingsOf(img)
	configs, err := c.apply(stored, func(o configOperation) (string, error) {
		if d, ok := config.BrokerDef(o.name); !ok || d.Type != config.List {
			return "", &refusal{codeInvalidConfig, fmt.Sprintf("Config value %s is not allowed for config key: %s", strings.ToLower(operationName(o.op)), o.name)}
		}
		if value, ok := stored[o.name]; ok {
			return value, nil
		}
		return settings.BrokerValue(o.name), nil
	})
	if err != nil {
		return nil, err
	}
	if err := config.CheckDynamic(settings, configs, node != meta.ClusterDefault); err != nil {
		return nil, &refusal{codeInvalidRequest, err.Error()} // brokers' settings, unlike topics', have this code
	}
	return meta.DecideAlterBrokerConfigs(img, node, configs)
}

// decideGroupConfigs checks the settings of a group. Storing them comes with the group protocols that have any.
func (h *Handler) decideGroupConfigs(c *configChange) (decision, error) {
	if c.name == "" {
		return nil, &refusal{codeInvalidRequest, "Default group resources are not allowed."}
	}
	configs, err := c.apply(nil, func(o configOperation) (string, error) {
		return "", &refusal{codeInvalidConfig, fmt.Sprintf("Can't %s to key %s because its type is not LIST.", operationName(o.op), o.name)}
	})
	if err == nil {
		err = config.CheckGroupSet(h.settings(), configs)
	}
	if err == nil {
		err = &refusal{codeInvalidRequest, "This broker stores no settings of groups: only the classic protocol is served, which has none"}
	}
	return nil, err
}

// apply returns what stored becomes. list returns the present value of a setting to append to or subtract from.
func (c *configChange) apply(stored map[string]string, list func(configOperation) (string, error)) (map[string]string, error) {
	configs := maps.Clone(stored)
	if configs == nil || c.replace {
		configs = make(map[string]string, len(c.operations))
	}
	for _, o := range c.operations {
		switch o.op {
		case kmsg.IncrementalAlterConfigOpSet:
			configs[o.name] = *o.value
		case kmsg.IncrementalAlterConfigOpDelete:
			delete(configs, o.name)
		default:
			present, err := list(o)
			if err != nil {
				return nil, err
			}
			configs[o.name] = changedList(present, *o.value, o.op == kmsg.IncrementalAlterConfigOpAppend)
		}
	}
	return configs, nil
}

// changedList adds the items of a list to another, or takes them away.
func changedList(present, change string, add bool) string {
	items := listItems(present)
	for _, item := range listItems(change) {
		has := slices.Contains(items, item)
		switch {
		case add && !has:
			items = append(items, item)
		case !add && has:
			items = slices.DeleteFunc(items, func(s string) bool { return s == item })
		}
	}
	return strings.Join(items, ",")
}

func listItems(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func operationName(op kmsg.IncrementalAlterConfigOp) string {
	if op == kmsg.IncrementalAlterConfigOpAppend {
		return "APPEND"
	}
	return "SUBTRACT"
}

// resourceKey names a resource.
type resourceKey struct {
	kind kmsg.ConfigResourceType
	name string
}

// resourceCounts tells how often a request names each resource.
type resourceCounts map[resourceKey]int

func (c resourceCounts) add(kind kmsg.ConfigResourceType, name string) { c[resourceKey{kind, name}]++ }

// refuseTwice is the answer to each of the places where a request names a resource more than once, else nil.
func (c resourceCounts) refuseTwice(kind kmsg.ConfigResourceType, name string) error {
	if c[resourceKey{kind, name}] > 1 {
		return &refusal{codeInvalidRequest, "Each resource must appear at most once."}
	}
	return nil
}
