package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// maxReplayBytes bounds the body of a request to replay, listed in spec/limits.md.
const maxReplayBytes = 256 << 10

// replay gives dead letters to the module once more. The body may say where to end, as an earlier answer did.
func (h *handler) replay(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Until map[int32]int64 `json:"until"`
	}
	text, err := readAll(r.Body, maxReplayBytes)
	if err == nil && len(bytes.TrimSpace(text)) > 0 {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err = d.Decode(&asked); err != nil {
			err = badRequest("body: %s", jsonFault(err))
		}
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer, err := h.Deployments.Replay(r.Context(), r.PathValue("name"), asked.Until)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// module sends a module's bytes: the one that the deployment runs, or the one with the hash that is asked for, for as long
// as the cluster keeps it.
func (h *handler) module(w http.ResponseWriter, r *http.Request) {
	wasm, ref, err := h.Deployments.Module(r.Context(), r.PathValue("name"), r.URL.Query().Get("sha256"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/wasm")
	w.Header().Set("ETag", `"`+ref.SHA256+`"`)
	// A client that is gone does not need the answer.
	_, _ = w.Write(wasm)
}
