// Package terraform plans and applies infrastructure, by terraform or OpenTofu, in the working copies that workflow.toml
// grants.
package terraform

import (
	"encoding/json"
	"sort"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_infra_terraform"
)

// Folder is a working copy of a configuration, and the infrastructure that it describes.
type Folder struct{ label string }

// Open names a working copy. It reaches nothing.
func Open(label string) Folder { return Folder{label} }

// Resource is something that there is.
type Resource struct {
	// Address is where the configuration has it: aws_instance.web[0].
	Address string `json:"address"`
	Kind    string `json:"kind"`
	// Values are its attributes; null for those that are sensitive, or named like a secret.
	Values map[string]any `json:"values"`
}

// State is what there is.
type State struct {
	// Serial counts the changes; 0 where nothing was ever applied.
	Serial uint64 `json:"serial"`
	// Outputs are those of the root module; null for those that are sensitive.
	Outputs   map[string]any `json:"outputs"`
	Resources []Resource     `json:"resources"`
}

// Action is what becomes of something.
type Action string

const (
	// Create says that it is created.
	Create Action = "create"
	// Update says that it is changed in place.
	Update Action = "update"
	// Replace says that it is destroyed, and created anew.
	Replace Action = "replace"
	// Delete says that it is destroyed.
	Delete Action = "delete"
)

var actions = [...]Action{host.Action_Create: Create, host.Action_Update: Update, host.Action_Replace: Replace, host.Action_Delete: Delete}

// Change is what becomes of one resource or output.
type Change struct {
	Address string `json:"address"`
	Action  Action `json:"action"`
}

// Plan is what a configuration would change.
type Plan struct {
	// Digest names the plan.
	Digest string `json:"digest"`
	// Adds, Changes and Destroys count resources.
	Adds      uint32   `json:"adds"`
	Changes   uint32   `json:"changes"`
	Destroys  uint32   `json:"destroys"`
	Resources []Change `json:"resources"`
	Outputs   []Change `json:"outputs"`
	// Text is the plan as terraform shows it to people.
	Text string `json:"text"`
	// Detail has values before and after, by address; null for those that are sensitive.
	Detail json.RawMessage `json:"detail"`
}

// Applied is what an apply came to.
type Applied struct {
	Serial  uint64         `json:"serial"`
	Outputs map[string]any `json:"outputs"`
	// Resources are the addresses of those there are.
	Resources []string `json:"resources"`
}

// State says what there is.
func (f Folder) State() (*State, error) {
	said := host.State(f.label)
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	it := said.Ok()
	state := &State{Serial: it.Serial, Resources: make([]Resource, len(it.Resources))}
	if err := read(it.Outputs, &state.Outputs); err != nil {
		return nil, err
	}
	for at, it := range it.Resources {
		state.Resources[at] = Resource{Address: it.Address, Kind: it.Kind}
		if err := read(it.Values, &state.Resources[at].Values); err != nil {
			return nil, err
		}
	}
	return state, nil
}

// Plan works out what these files, by their paths, would change in the place of those that are there. Nothing is changed; the
// plan is kept for whoever may apply it.
func (f Folder) Plan(files map[string]string) (*Plan, error) {
	sent := make([]host.File, 0, len(files))
	for path, content := range files {
		sent = append(sent, host.File{Path: path, Content: content})
	}
	// A step that is played again must send the same.
	sort.Slice(sent, func(a, b int) bool { return sent[a].Path < sent[b].Path })
	said := host.Plan(f.label, sent)
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	it := said.Ok()
	return &Plan{
		Digest:    it.Digest,
		Adds:      it.Adds,
		Changes:   it.Changes,
		Destroys:  it.Destroys,
		Resources: changes(it.Resources),
		Outputs:   changes(it.Outputs),
		Text:      it.Text,
		Detail:    json.RawMessage(it.Detail),
	}, nil
}

// Apply applies a plan, by its digest. Where that fails, the previous configuration is applied again before this returns.
func (f Folder) Apply(plan string) (*Applied, error) {
	said := host.Apply(f.label, plan)
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	it := said.Ok()
	applied := &Applied{Serial: it.Serial, Resources: it.Resources}
	return applied, read(it.Outputs, &applied.Outputs)
}

func changes(all []host.Change) []Change {
	made := make([]Change, len(all))
	for at, it := range all {
		made[at] = Change{Address: it.Address, Action: actions[it.Action]}
	}
	return made
}

func read(text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return &wflo.Other{Message: err.Error()}
	}
	return nil
}

func failed(why host.Error) error {
	switch why.Tag() {
	case host.Error_AccessDenied:
		return &wflo.AccessDenied{Message: why.AccessDenied()}
	case host.Error_Invalid:
		return &wflo.Invalid{Message: why.Invalid()}
	case host.Error_Stale:
		return &wflo.Stale{Message: why.Stale()}
	case host.Error_Failed:
		return &wflo.NotApplied{Message: why.Failed()}
	case host.Error_Limit:
		return &wflo.Limit{Message: why.Limit()}
	case host.Error_RefusedByPolicy:
		return &wflo.RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case host.Error_Rejected:
		return &wflo.Rejected{Message: why.Rejected()}
	case host.Error_Unavailable:
		return &wflo.Unavailable{Message: why.Unavailable()}
	default:
		return &wflo.Other{Message: why.Other()}
	}
}
