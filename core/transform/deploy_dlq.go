package transform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/millrun/millrun/core/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// dlqSuffix makes a deployment's name the default name of its dead-letter topic.
	dlqSuffix = ".dlq"
	// letterBytes is how much larger than an input's batches those of a dead-letter topic may be: room for the headers.
	letterBytes = 64 << 10
)

// checkDeadLetters fills in the default topic, and refuses one that would come back to the guest by itself.
func checkDeadLetters(d *meta.Deployment) error {
	if d.OnError != OnErrorDLQ {
		if d.DLQ != "" {
			return refuse(ErrInvalid, "--dlq %s: --on-error is %s, which writes no dead letters; use --on-error dlq", d.DLQ, d.OnError)
		}
		return nil
	}
	given := d.DLQ != ""
	setDefault(&d.DLQ, d.Name+dlqSuffix)
	switch err := meta.CheckTopicName(d.DLQ); {
	case err != nil && !given:
		return refuse(ErrInvalid, "dead-letter topic %q: %v; name another with --dlq", d.DLQ, err)
	case err != nil:
		return refuse(ErrInvalid, "--dlq %q: %v", d.DLQ, err)
	case slices.Contains(d.Inputs, d.DLQ):
		return refuse(ErrInvalid, "dead-letter topic %s is an input: what fails would come back for ever; name another with --dlq", d.DLQ)
	case slices.Contains(d.Outputs, d.DLQ):
		return refuse(ErrInvalid, "dead-letter topic %s is an output: dead letters need a topic of their own; name another with --dlq", d.DLQ)
	}
	return nil
}

// createDeadLetters creates the topic for dead letters if it is missing. It keeps what it is given for ever: dead letters
// have the time of the record that failed, so that a retention by time would take those of old records at once.
func (d *Deployments) createDeadLetters(ctx context.Context, deployment *meta.Deployment) error {
	if deployment.OnError != OnErrorDLQ || d.partitionCount(deployment.DLQ) > 0 {
		return nil
	}
	partitions := d.widestInput(deployment)
	largest, err := d.largestBatch(ctx, deployment)
	if err != nil {
		return err
	}
	policy, retention, batch := "delete", "-1", strconv.FormatInt(largest+letterBytes, 10)
	err = createTopic(ctx, d.requester(deployment.Name), deployment.DLQ, partitions, []kmsg.CreateTopicsRequestTopicConfig{
		{Name: "cleanup.policy", Value: &policy}, {Name: "retention.ms", Value: &retention}, {Name: "max.message.bytes", Value: &batch},
	})
	if err != nil && !errors.Is(err, codeTopicExists) {
		return fmt.Errorf("dead-letter topic %s cannot be created: %w", deployment.DLQ, err)
	}
	return nil
}

// defaultLargestBatch is the default of max.message.bytes.
const defaultLargestBatch = 1048588

// largestBatch is the largest max.message.bytes of the inputs, or the default if there are none yet.
func (d *Deployments) largestBatch(ctx context.Context, deployment *meta.Deployment) (int64, error) {
	topics := d.inputTopics(deployment)
	if len(topics) == 0 {
		return defaultLargestBatch, nil
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, topic := range topics {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{"max.message.bytes"}
		req.Resources = append(req.Resources, r)
	}
	resp, err := request[*kmsg.DescribeConfigsResponse](ctx, d.requester(deployment.Name), versionDescribeConfigs, req)
	if err != nil {
		return 0, err
	}
	largest := int64(0)
	for _, r := range resp.Resources {
		if err := check(r.ErrorCode); err != nil {
			return 0, fmt.Errorf("settings of topic %s: %w", r.ResourceName, err)
		}
		for _, c := range r.Configs {
			if c.Name != "max.message.bytes" || c.Value == nil {
				continue
			}
			n, err := strconv.ParseInt(*c.Value, 10, 32)
			if err != nil {
				return 0, fmt.Errorf("max.message.bytes of topic %s: %w", r.ResourceName, err)
			}
			largest = max(largest, n)
		}
	}
	return largest, nil
}
