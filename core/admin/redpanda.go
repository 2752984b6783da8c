package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/transform"
)

// The part of Redpanda's admin API that is about transforms, so that its tools can drive this broker: deployments under
// Redpanda's names, in its shapes, with its statuses. What is wrong with a request is 400 there, whatever it is.

// redpandaVariable is a variable of a module's environment: a key of a deployment's config.
type redpandaVariable struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// redpandaOffset says where a transform begins.
type redpandaOffset struct {
	Format string `json:"format"` // from_start, from_end: value records off it; timestamp: value in ms
	Value  int64  `json:"value"`
}

// redpandaDeploy is the JSON before the module's bytes.
type redpandaDeploy struct {
	Name         *string            `json:"name"`
	InputTopic   *string            `json:"input_topic"`
	OutputTopics []string           `json:"output_topics"`
	Environment  []redpandaVariable `json:"environment"`
	Compression  string             `json:"compression"`
	Offset       *redpandaOffset    `json:"offset"`
}

// redpandaTransform is a deployment in the list.
type redpandaTransform struct {
	Name         string                    `json:"name"`
	InputTopic   string                    `json:"input_topic"` // with commas between them if there are several
	OutputTopics []string                  `json:"output_topics"`
	Status       []redpandaPartitionStatus `json:"status"`
	Environment  []redpandaVariable        `json:"environment"`
}

// redpandaPartitionStatus is how one input partition is doing.
type redpandaPartitionStatus struct {
	NodeID    int32  `json:"node_id"` // -1: nobody of this node has the partition
	Partition int32  `json:"partition"`
	Status    string `json:"status"` // running, inactive, errored, unknown
	Lag       int64  `json:"lag"`
}

// redpandaPatch is what may be changed of a transform; what is absent stays.
type redpandaPatch struct {
	IsPaused    *bool              `json:"is_paused"`
	Env         []redpandaVariable `json:"env"`
	Compression string             `json:"compression"`
}

func (h *handler) redpandaRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/transform/deploy", h.redpanda(h.redpandaDeploy))
	mux.HandleFunc("GET /v1/transform", h.redpanda(h.redpandaList))
	mux.HandleFunc("GET /v1/transform/{$}", h.redpanda(h.redpandaList))
	mux.HandleFunc("DELETE /v1/transform/{name}", h.redpanda(h.redpandaDelete))
	mux.HandleFunc("PUT /v1/transform/{name}/meta", h.redpanda(h.redpandaMeta))
}

// redpanda answers with what f returns, nil being an empty object, or with its error in Redpanda's shape.
func (h *handler) redpanda(f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		answer, err := f(r)
		if err != nil {
			status, err := h.statusOf(r, err)
			if status != http.StatusInternalServerError && status != http.StatusRequestEntityTooLarge {
				status = http.StatusBadRequest
			}
			writeJSON(w, status, map[string]any{"message": err.Error(), "code": status})
			return
		}
		if answer == nil {
			answer = struct{}{}
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

// redpandaDeploy deploys, or upgrades what has the name already.
func (h *handler) redpandaDeploy(r *http.Request) (any, error) {
	spec, wasm, err := readRedpandaDeploy(r.Body)
	if err != nil {
		return nil, err
	}
	_, err = h.Deployments.Deploy(r.Context(), *spec, wasm)
	if !errors.Is(err, transform.ErrExists) && !errors.Is(err, meta.ErrDeploymentExists) {
		return nil, err
	}
	return nil, h.redpandaUpgrade(r.Context(), spec.Name, transform.UpgradeSpec{
		Module: spec.Module, Input: spec.Input, Output: spec.Output, Config: settingsOf(spec.Config), ClearConfig: true, From: spec.From,
	}, wasm)
}

// redpandaUpgrade takes what runs already for done: a deploy may be sent again.
func (h *handler) redpandaUpgrade(ctx context.Context, name string, spec transform.UpgradeSpec, wasm []byte) error {
	_, err := h.Deployments.Upgrade(ctx, name, spec, wasm)
	if errors.Is(err, transform.ErrUnchanged) {
		return nil
	}
	return err
}

// settingsOf is a config as an upgrade takes it.
func settingsOf(config map[string]string) map[string]*string {
	settings := make(map[string]*string, len(config))
	for key, value := range config {
		settings[key] = &value
	}
	return settings
}

// readRedpandaDeploy reads a JSON object and what follows it at once, which is the module.
func readRedpandaDeploy(body io.Reader) (*transform.DeploySpec, []byte, error) {
	d := json.NewDecoder(io.LimitReader(body, maxSpecBytes))
	d.DisallowUnknownFields()
	var asked redpandaDeploy
	if err := d.Decode(&asked); err != nil {
		return nil, nil, badRequest("invalid JSON request body: %s", jsonFault(err))
	}
	wasm, err := readAll(io.MultiReader(d.Buffered(), body), transform.MaxModuleBytes)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case asked.Name == nil || asked.InputTopic == nil || asked.OutputTopics == nil:
		return nil, nil, badRequest("invalid JSON request body: name, input_topic and output_topics are required")
	case len(asked.OutputTopics) == 0:
		return nil, nil, badRequest("transform %s has no output topic", *asked.Name)
	case len(wasm) == 0:
		return nil, nil, badRequest("no module follows the JSON object: send its bytes right behind it")
	}
	spec := &transform.DeploySpec{
		Name: *asked.Name, Module: *asked.Name, Input: []string{*asked.InputTopic}, Output: asked.OutputTopics, Config: configOf(asked.Environment),
	}
	if spec.From, err = asked.Offset.from(); err == nil {
		err = checkCompression(asked.Compression)
	}
	return spec, wasm, err
}

func configOf(environment []redpandaVariable) map[string]string {
	config := make(map[string]string, len(environment))
	for _, v := range environment {
		config[v.Key] = v.Value
	}
	return config
}

// from is where to begin in the deploy verb's words; "" is its default, the end.
func (o *redpandaOffset) from() (string, error) {
	switch {
	case o == nil:
		return "", nil
	case o.Value < 0:
		return "", badRequest("Bad offset: expected value >= 0, got %d", o.Value)
	case o.Format == "timestamp":
		return fmt.Sprintf("@%d", o.Value), nil
	case o.Format != "from_start" && o.Format != "from_end":
		return "", badRequest("Bad offset: Unsupported format (%s)", o.Format)
	case o.Value > 0:
		return "", badRequest("Bad offset: %s %d is not supported: begin at 0 records off it, or at a timestamp", o.Format, o.Value)
	case o.Format == "from_start":
		return "earliest", nil
	}
	return "latest", nil
}

// checkCompression refuses what is not done: an output's batches are compressed as the input's are.
func checkCompression(mode string) error {
	switch mode {
	case "", "none":
		return nil
	case "gzip", "snappy", "lz4", "zstd":
		return badRequest("compression %s is not supported: outputs are compressed as their inputs are", mode)
	}
	return badRequest("Unrecognized compression mode: '%s'", mode)
}

func (h *handler) redpandaDelete(r *http.Request) (any, error) {
	_, err := h.Deployments.Delete(r.Context(), r.PathValue("name"), false)
	return nil, err
}

func (h *handler) redpandaMeta(r *http.Request) (any, error) {
	text, err := readAll(r.Body, maxSpecBytes)
	if err != nil {
		return nil, err
	}
	var patch redpandaPatch
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&patch); err != nil {
		return nil, badRequest("invalid JSON request body: %s", jsonFault(err))
	}
	if err := checkCompression(patch.Compression); err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	if patch.Env != nil {
		spec := transform.UpgradeSpec{Config: settingsOf(configOf(patch.Env)), ClearConfig: true}
		if err := h.redpandaUpgrade(r.Context(), name, spec, nil); err != nil {
			return nil, err
		}
	}
	if patch.IsPaused == nil {
		return nil, nil
	}
	if *patch.IsPaused {
		return nil, h.Deployments.Pause(r.Context(), name)
	}
	return nil, h.Deployments.Resume(r.Context(), name)
}

func (h *handler) redpandaList(r *http.Request) (any, error) {
	all, err := h.Deployments.DescribeAll(r.Context())
	if err != nil {
		return nil, err
	}
	answer := []redpandaTransform{}
	for n := range all {
		answer = append(answer, h.redpandaView(&all[n]))
	}
	return answer, nil
}

func (h *handler) redpandaView(s *transform.Status) redpandaTransform {
	t := redpandaTransform{
		Name: s.Name, InputTopic: strings.Join(s.Inputs, ","), OutputTopics: s.Outputs, Status: []redpandaPartitionStatus{}, Environment: []redpandaVariable{},
	}
	for _, key := range slices.Sorted(maps.Keys(s.Config)) {
		t.Environment = append(t.Environment, redpandaVariable{key, s.Config[key]})
	}
	mine := make(map[transform.MemberPartition]bool)
	for _, m := range s.Members {
		for _, p := range m.Partitions {
			mine[p] = m.Local
		}
	}
	for _, p := range s.Partitions {
		node := int32(-1)
		if mine[transform.MemberPartition{Topic: p.Topic, Partition: p.Partition}] {
			node = int32(h.NodeID)
		}
		t.Status = append(t.Status, redpandaPartitionStatus{node, p.Partition, redpandaState(s.State), p.Lag})
	}
	return t
}

// redpandaState is Redpanda's word for a deployment's state.
func redpandaState(state string) string {
	switch state {
	case "running":
		return "running"
	case "paused":
		return "inactive"
	case "stopped", "failed":
		return "errored"
	}
	return "unknown"
}
