// Package llm asks language models, by the names that workflow.toml grants. Every request is held against the budget,
// journaled and charged by the host; the step sees no provider, no address and no key.
package llm

import (
	"encoding/json"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_llm_chat"
	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_llm_types"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// Usage is what a call used and cost.
type Usage struct {
	// InputTokens are those of the request, OutputTokens those of the answer.
	InputTokens, OutputTokens uint64
	// CostUSD is exact, as a decimal.
	CostUSD string
	// Estimated is true where the provider reported no usage and the quote was charged instead.
	Estimated bool
}

// Role is who speaks.
type Role uint8

const (
	// System gives instructions.
	System = Role(host.Role_System)
	// User asks.
	User = Role(host.Role_User)
	// Assistant is the model.
	Assistant = Role(host.Role_Assistant)
)

// Message is one of a conversation.
type Message struct {
	Role    Role
	Content string
}

// Chat is a request to a model.
type Chat struct {
	// Model is its name, as granted.
	Model string
	// System are instructions, before Messages; Prompt is what the user says, after them.
	System, Prompt string
	// Messages are the conversation so far.
	Messages []Message
	// Schema is the JSON Schema that the answer must satisfy, if any; see [wflo.SchemaOf] and [As].
	Schema json.RawMessage
	// MaxTokens is the most to answer with. 0: as many as the remaining budget buys, and the model can.
	MaxTokens uint32
	// Temperature is that of sampling, 0 to 2. nil: the provider's default.
	Temperature *float64
	// Seed is that of sampling, where the provider takes one.
	Seed *uint64
}

// Completion is what a model answered.
type Completion struct {
	// Text is the answer; JSON that satisfies the schema, if the request had one.
	Text string
	// Model is its name, as the provider has it.
	Model string
	// FinishReason is why it stopped: stop, length, or the provider's word.
	FinishReason string
	Usage        Usage
}

// Send asks the model once.
func (c Chat) Send() (*Completion, error) {
	request := host.Request{
		Model:       c.Model,
		Schema:      witTypes.None[string](),
		MaxTokens:   witTypes.None[uint32](),
		Temperature: witTypes.None[float64](),
		Seed:        witTypes.None[uint64](),
	}
	if c.System != "" {
		request.Messages = append(request.Messages, host.Message{Role: host.Role_System, Content: c.System})
	}
	for _, it := range c.Messages {
		request.Messages = append(request.Messages, host.Message{Role: host.Role(it.Role), Content: it.Content})
	}
	if c.Prompt != "" {
		request.Messages = append(request.Messages, host.Message{Role: host.Role_User, Content: c.Prompt})
	}
	if c.Schema != nil {
		request.Schema = witTypes.Some(string(c.Schema))
	}
	if c.MaxTokens != 0 {
		request.MaxTokens = witTypes.Some(c.MaxTokens)
	}
	if c.Temperature != nil {
		request.Temperature = witTypes.Some(*c.Temperature)
	}
	if c.Seed != nil {
		request.Seed = witTypes.Some(*c.Seed)
	}
	said := host.Complete(request)
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	it := said.Ok()
	return &Completion{Text: it.Text, Model: it.Model, FinishReason: it.FinishReason, Usage: used(it.Usage)}, nil
}

// As asks a model for an answer that satisfies the schema of T, and reads it.
func As[T any](chat Chat) (Outcome[T], error) {
	if chat.Schema == nil {
		chat.Schema = wflo.SchemaOf[T]()
	}
	completion, err := chat.Send()
	if err != nil {
		return Outcome[T]{}, err
	}
	return outcome[T](completion.Text, completion.Usage)
}

// Outcome is what a model answered, read, and what all requests for it used and cost together.
type Outcome[T any] struct {
	Value T
	Usage Usage
}

func outcome[T any](text string, usage Usage) (Outcome[T], error) {
	made := Outcome[T]{Usage: usage}
	if err := json.Unmarshal([]byte(text), &made.Value); err != nil {
		return made, &wflo.BadOutput{Message: err.Error()}
	}
	return made, nil
}

func used(usage wflo_llm_types.Usage) Usage {
	return Usage{
		InputTokens:  usage.InputTokens,
		OutputTokens: usage.OutputTokens,
		CostUSD:      usage.CostUsd,
		Estimated:    usage.Estimated,
	}
}

func failed(why wflo_llm_types.Error) error {
	switch why.Tag() {
	case wflo_llm_types.Error_AccessDenied:
		return &wflo.AccessDenied{Message: why.AccessDenied()}
	case wflo_llm_types.Error_BudgetExceeded:
		return &wflo.BudgetExceeded{Left: why.BudgetExceeded()}
	case wflo_llm_types.Error_UnknownModel:
		return &wflo.Unknown{Message: "no model is called `" + why.UnknownModel() + "`"}
	case wflo_llm_types.Error_RefusedByPolicy:
		return &wflo.RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case wflo_llm_types.Error_Rejected:
		return &wflo.Rejected{Message: why.Rejected()}
	case wflo_llm_types.Error_RateLimited:
		return &wflo.RateLimited{RetryAfter: why.RateLimited().SomeOr(0)}
	case wflo_llm_types.Error_ContextTooLong:
		return &wflo.ContextTooLong{Message: why.ContextTooLong()}
	case wflo_llm_types.Error_BadOutput:
		return &wflo.BadOutput{Message: why.BadOutput()}
	case wflo_llm_types.Error_Upstream:
		return &wflo.Unavailable{Message: "the provider failed: " + why.Upstream()}
	case wflo_llm_types.Error_Invalid:
		return &wflo.Invalid{Message: "invalid request to a model: " + why.Invalid()}
	default:
		return &wflo.Other{Message: why.Other()}
	}
}
