package api

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
)

// describeConfigs lists the settings of topics, of this broker, of all brokers, of groups and of client metrics subscriptions. v1
// brings the synonyms, v3 types and documentation.
func (h *Handler) describeConfigs(_ context.Context, _ *Call, req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	img := h.cfg.Cluster.Image()
	for i := range req.Resources {
		asked := &req.Resources[i]
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
		r.ErrorMessage = new(string) // Kafka's tools expect a text
		entries, err := h.resourceConfigs(img, asked.ResourceType, asked.ResourceName)
		if err != nil {
			r.ErrorCode, r.ErrorMessage = codeOf(err), messageOf(err)
		}
		for _, e := range entries {
			if len(asked.ConfigNames) == 0 || slices.Contains(asked.ConfigNames, e.Name) {
				r.Configs = append(r.Configs, describedConfig(e, req.IncludeSynonyms, req.IncludeDocumentation))
			}
		}
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

func (h *Handler) resourceConfigs(img *meta.Image, kind kmsg.ConfigResourceType, name string) ([]config.Entry, error) {
	settings := h.settingsOf(img)
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if err := meta.CheckTopicName(name); err != nil {
			return nil, err
		}
		t, ok := img.Topic(name)
		if !ok {
			return nil, &refusal{codeUnknownTopicOrPartition, ""}
		}
		return settings.DescribeTopic(t.Configs), nil
	case kmsg.ConfigResourceTypeBroker:
		if name == "" {
			return settings.DescribeClusterDefault(), nil
		}
		if err := h.checkNode(name, "Broker id must be an integer, but it is: %s", "Unexpected broker id, expected %d or empty string, but received %d"); err != nil {
			return nil, err
		}
		return settings.DescribeBroker(), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		if name == "" {
			return nil, &refusal{codeInvalidRequest, "Broker id must not be empty"}
		}
		// There are no loggers to be set by name.
		return nil, h.checkNode(name, "Broker id must be an integer, but it is: %s", "Unexpected broker id, expected %d but received %d")
	case kmsg.ConfigResourceTypeGroupConfig:
		if name == "" {
			return nil, &refusal{codeInvalidRequest, "Group name must not be empty"}
		}
		return settings.DescribeGroup(nil), nil
	case kmsg.ConfigResourceTypeClientMetrics:
		if name == "" {
			return nil, &refusal{codeInvalidRequest, "Client metrics subscription name must not be empty"}
		}
		return config.DescribeClientMetrics(nil), nil
	}
	return nil, &refusal{codeInvalidRequest, "Unsupported resource type: " + strconv.Itoa(int(kind))}
}

// checkNode tells whether name is this broker's id: the settings of another are only asked of itself. The words, which differ
// from key to key, are formats for the name and for the two ids.
func (h *Handler) checkNode(name, notNumber, notHere string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return &refusal{codeInvalidRequest, fmt.Sprintf(notNumber, name)}
	}
	if meta.NodeID(id) != h.cfg.NodeID {
		return &refusal{codeInvalidRequest, fmt.Sprintf(notHere, h.cfg.NodeID, id)}
	}
	return nil
}
