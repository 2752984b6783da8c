package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterConfigs replaces the whole set of a resource's settings by those given. Clients of today use
// IncrementalAlterConfigs.
func (h *Handler) alterConfigs(ctx context.Context, _ *Call, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := kmsg.NewPtrAlterConfigsResponse()
	seen := resourceCounts{}
	for i := range req.Resources {
		seen.add(req.Resources[i].ResourceType, req.Resources[i].ResourceName)
	}
	for i := range req.Resources {
		asked := &req.Resources[i]
		change := &configChange{kind: asked.ResourceType, name: asked.ResourceName, replace: true, validateOnly: req.ValidateOnly}
		for _, c := range asked.Configs {
			change.operations = append(change.operations, configOperation{c.Name, kmsg.IncrementalAlterConfigOpSet, c.Value})
		}
		err := seen.refuseTwice(asked.ResourceType, asked.ResourceName)
		if err == nil {
			err = h.changeConfigs(ctx, change)
		}
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
		r.ErrorCode, r.ErrorMessage = codeOf(err), messageOf(err)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}
