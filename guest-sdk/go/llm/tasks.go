package llm

import (
	"encoding/json"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_llm_tasks"
	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_llm_types"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// Category is what a text was sorted into.
type Category struct {
	Category   string  `json:"category"`
	Confidence float64 `json:"confidence"`
	Details    string  `json:"details"`
}

// Verdict is what came of holding data against one rule.
type Verdict struct {
	Rule   string   `json:"rule"`
	Passed bool     `json:"passed"`
	Issues []string `json:"issues"`
}

// Validation is what came of holding data against rules, with one verdict for each, in their order.
type Validation struct {
	// Passed says whether all rules hold.
	Passed   bool      `json:"passed"`
	Verdicts []Verdict `json:"verdicts"`
	Issues   []string  `json:"issues"`
}

// Code is what a model wrote. Nothing runs it.
type Code struct {
	Code        string `json:"code"`
	Explanation string `json:"explanation"`
}

// Moderation is what a model said about content.
type Moderation struct {
	// Verdict is safe, review or block.
	Verdict    string  `json:"verdict"`
	Confidence float64 `json:"confidence"`
	Reasoning  string  `json:"reasoning"`
	// Violated are the policies that it breaks.
	Violated []string `json:"violated"`
}

// Citation is a passage that an answer stands on.
type Citation struct {
	Source string `json:"source"`
	Title  string `json:"title"`
	Text   string `json:"text"`
}

// Cited is an answer, with where it stands.
type Cited struct {
	// Answered says whether what was found answers the question.
	Answered bool `json:"answered"`
	// Answer is the answer, or what is lacking for one.
	Answer    string     `json:"answer"`
	Citations []Citation `json:"citations"`
}

// Analyze has a model analyse data, any that JSON can hold, and answer with a T.
func Analyze[T any](model string, data any, prompt string) (Outcome[T], error) {
	text, err := wflo.Marshal(data)
	if err != nil {
		return Outcome[T]{}, err
	}
	return done[T](host.Analyze(model, string(text), prompt, schema[T]()))
}

// Answer has a model answer a question from at most top passages of a knowledge base, 1 to 20, and from nothing else, and say
// where the answer stands. Where nothing is found, no model is asked.
func Answer(model, question, knowledge string, top uint32) (Outcome[Cited], error) {
	return done[Cited](host.Answer(model, question, knowledge, top))
}

// Classify has a model sort a text into exactly one of several categories.
func Classify(model, text string, categories ...string) (Outcome[Category], error) {
	return done[Category](host.Classify(model, text, categories))
}

// Transform has a model transform rows, one by one, each into a T, in their order.
func Transform[T, Row any](model string, rows []Row, instructions string) (Outcome[[]T], error) {
	text, err := wflo.Marshal(rows)
	if err != nil {
		return Outcome[[]T]{}, err
	}
	return done[[]T](host.Transform(model, string(text), instructions, schema[T]()))
}

// Validate has a model hold data against rules.
func Validate(model string, data any, rules ...string) (Outcome[Validation], error) {
	text, err := wflo.Marshal(data)
	if err != nil {
		return Outcome[Validation]{}, err
	}
	return done[Validation](host.Validate(model, string(text), rules))
}

// GenerateCode has a model write code in a language. Requirements are any that JSON can hold.
func GenerateCode(model, language string, requirements any) (Outcome[Code], error) {
	text, err := wflo.Marshal(requirements)
	if err != nil {
		return Outcome[Code]{}, err
	}
	return done[Code](host.GenerateCode(model, language, string(text)))
}

// Moderate has a model judge content by policies.
func Moderate(model, content string, policies ...string) (Outcome[Moderation], error) {
	return done[Moderation](host.Moderate(model, content, policies))
}

// Synthesize has a model draw many inputs together into one T.
func Synthesize[T, Input any](model string, data []Input, prompt string) (Outcome[T], error) {
	text, err := wflo.Marshal(data)
	if err != nil {
		return Outcome[T]{}, err
	}
	return done[T](host.Synthesize(model, string(text), prompt, schema[T]()))
}

// schema is that of what is asked for: of any object, where the type promises nothing.
func schema[T any]() string {
	if schema := wflo.SchemaOf[T](); schema != nil {
		return string(schema)
	}
	return string(json.RawMessage(`{"type":"object"}`))
}

func done[T any](said witTypes.Result[host.Outcome, wflo_llm_types.Error]) (Outcome[T], error) {
	if said.IsErr() {
		return Outcome[T]{}, failed(said.Err())
	}
	return outcome[T](said.Ok().Value, used(said.Ok().Usage))
}
