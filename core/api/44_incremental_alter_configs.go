package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// incrementalAlterConfigs sets, deletes, appends to and subtracts from single settings of resources, each resource by
// itself.
func (h *Handler) incrementalAlterConfigs(ctx context.Context, _ *Call, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	seen := resourceCounts{}
	for i := range req.Resources {
		seen.add(req.Resources[i].ResourceType, req.Resources[i].ResourceName)
	}
	for i := range req.Resources {
		asked := &req.Resources[i]
		change := &configChange{kind: asked.ResourceType, name: asked.ResourceName, validateOnly: req.ValidateOnly}
		for _, c := range asked.Configs {
			change.operations = append(change.operations, configOperation{c.Name, c.Op, c.Value})
		}
		err := seen.refuseTwice(asked.ResourceType, asked.ResourceName)
		switch {
		case err != nil:
		case asked.ResourceType == kmsg.ConfigResourceTypeBrokerLogger:
			err = h.changeLoggers(change)
		default:
			err = h.changeConfigs(ctx, change)
		}
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
		r.ErrorCode, r.ErrorMessage = codeOf(err), messageOf(err)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

// changeLoggers refuses changes of log levels as Kafka does for loggers that it does not have: there are none to be set by
// name.
func (h *Handler) changeLoggers(c *configChange) error {
	if err := c.checkOperations(); err != nil {
		return err
	}
	if err := h.checkNode(c.name, "Node id must be an integer, but it is: %s", "Unexpected node id. Expected %d, but received %d"); err != nil {
		return err
	}
	for _, o := range c.operations {
		if o.op != kmsg.IncrementalAlterConfigOpSet && o.op != kmsg.IncrementalAlterConfigOpDelete {
			return &refusal{codeInvalidRequest, operationName(o.op) + " operation is not allowed for the BROKER_LOGGER resource"}
		}
		return &refusal{codeInvalidConfig, fmt.Sprintf("Logger %s does not exist!", o.name)}
	}
	return nil
}
