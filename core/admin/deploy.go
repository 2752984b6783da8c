package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/millrun/millrun/core/transform"
)

// errBadRequest is wrapped by errors about the form of a request.
var errBadRequest = errors.New("bad request")

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBadRequest, fmt.Sprintf(format, args...))
}

// deploy takes a multipart form with a spec and a module, or a spec alone, as a form or as the body, that names a shipped
// module.
func (h *handler) deploy(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	spec, wasm, err := readDeploy(r)
	if err == nil && wasm == nil {
		wasm, err = h.shipped(spec.Module)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	status, err := h.Deployments.Deploy(r.Context(), *spec, wasm)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, status)
}

func (h *handler) shipped(name string) ([]byte, error) {
	if name == "" {
		return nil, badRequest("there is no module: send its bytes as the form's part \"module\", or name a shipped one in the spec")
	}
	wasm, ok := h.Shipped(name)
	if !ok {
		return nil, badRequest("no module %q ships with this broker: send its bytes as the form's part \"module\"", name)
	}
	return wasm, nil
}

func readDeploy(r *http.Request) (*transform.DeploySpec, []byte, error) {
	spec := new(transform.DeploySpec)
	wasm, given, err := readRequest(r, spec)
	if err == nil && !given {
		err = badRequest("form: there is no part \"spec\"")
	}
	if err != nil {
		return nil, nil, err
	}
	return spec, wasm, nil
}

// readRequest reads a form with a spec and a module, or a spec as the body. It tells whether there was a spec.
func readRequest(r *http.Request, spec any) (wasm []byte, given bool, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, false, badRequest("content type %q: send multipart/form-data or application/json", r.Header.Get("Content-Type"))
	}
	switch kind {
	case "application/json":
		return nil, true, readSpec(r.Body, spec)
	case "multipart/form-data":
		form, err := r.MultipartReader()
		if err != nil {
			return nil, false, badRequest("form: %v", err)
		}
		return readForm(form, spec)
	}
	return nil, false, badRequest("content type %s: send multipart/form-data or application/json", kind)
}

func readForm(form *multipart.Reader, spec any) (wasm []byte, given bool, err error) {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return wasm, given, nil
		}
		if err != nil {
			return nil, false, formError(err)
		}
		switch name := part.FormName(); {
		case name == "spec" && !given:
			if err := readSpec(part, spec); err != nil {
				return nil, false, err
			}
			given = true
		case name == "module" && wasm == nil:
			if wasm, err = readAll(part, transform.MaxModuleBytes); err != nil {
				return nil, false, err
			}
		default:
			return nil, false, badRequest("form: part %q is unknown or there twice; the parts are spec and module", name)
		}
	}
}

// formError keeps the error of a body that is too large recognisable.
func formError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return badRequest("form: %v", err)
}

func readSpec(r io.Reader, spec any) error {
	text, err := readAll(r, maxSpecBytes)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(spec); err != nil {
		return badRequest("spec: %s", jsonFault(err))
	}
	if d.More() {
		return badRequest("spec: something follows the JSON object")
	}
	return nil
}

// jsonFault says what is wrong with a JSON object, without the names of Go's types.
func jsonFault(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty, but must be a JSON object"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON object does not end"
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Sprintf("it must be a JSON object, not %s", kind.Value)
	case errors.As(err, &kind):
		return fmt.Sprintf("%s must not be %s", kind.Field, kind.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// readAll reads at most limit bytes; more is an error.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, formError(err)
	}
	if int64(len(b)) > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return b, nil
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	all, err := h.Deployments.List(r.Context())
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, all)
}

func (h *handler) describe(w http.ResponseWriter, r *http.Request) {
	h.answerWith(w, r, r.PathValue("name"))
}

func (h *handler) answerWith(w http.ResponseWriter, r *http.Request, name string) {
	status, err := h.Deployments.Describe(r.Context(), name)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, status)
}

// remove deletes a deployment; with ?purge=true its groups too.
func (h *handler) remove(w http.ResponseWriter, r *http.Request) {
	purge, err := strconv.ParseBool(cmp.Or(r.URL.Query().Get("purge"), "false"))
	if err != nil {
		h.refuse(w, r, badRequest("purge=%s: it is true or false", r.URL.Query().Get("purge")))
		return
	}
	deleted, err := h.Deployments.Delete(r.Context(), r.PathValue("name"), purge)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, deleted)
}

// pause and resume answer with the deployment as it is then.
func (h *handler) pause(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, h.Deployments.Pause)
}

func (h *handler) resume(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, h.Deployments.Resume)
}

func (h *handler) change(w http.ResponseWriter, r *http.Request, change func(ctx context.Context, name string) error) {
	name := r.PathValue("name")
	if err := change(r.Context(), name); err != nil {
		h.refuse(w, r, err)
		return
	}
	h.answerWith(w, r, name)
}

func (h *handler) rollback(w http.ResponseWriter, r *http.Request) {
	answer, err := h.Deployments.Rollback(r.Context(), r.PathValue("name"))
	h.answerUpgrade(w, r, answer, err)
}

// upgrade takes what deploy takes, but of the spec only what changes, and no module to keep the present one.
func (h *handler) upgrade(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	var spec transform.UpgradeSpec
	wasm, _, err := readRequest(r, &spec)
	if err == nil && wasm == nil && spec.Module != "" {
		wasm, err = h.shipped(spec.Module)
	}
	var answer *transform.Upgraded
	if err == nil {
		answer, err = h.Deployments.Upgrade(r.Context(), r.PathValue("name"), spec, wasm)
	}
	h.answerUpgrade(w, r, answer, err)
}

func (h *handler) answerUpgrade(w http.ResponseWriter, r *http.Request, answer *transform.Upgraded, err error) {
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}
