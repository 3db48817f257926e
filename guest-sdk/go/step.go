package wflo

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// name is what steps may be called.
var name = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$`)

// entry is a step of the component.
type entry struct {
	name       string
	summary    string
	output     json.RawMessage
	facts      []fact
	run        func(*Context) (any, error)
	compensate func(*Context, Undo) error
}

type fact struct {
	name   string
	schema json.RawMessage
}

// steps has them in the order in which they were made known.
var steps []*entry

// Option says more about a step.
type Option func(*entry)

// Step makes a step known to wflo, by the name that workflow.toml has for it. Its inputs are those of the run, read as JSON
// into a value of type In: a struct, a map, or struct{} for a step that looks at none. Its output is written as JSON, and the
// schema of its type is what it promises.
//
// It is called in an init function. A name that is none, or that another step has, panics there.
func Step[In, Out any](step string, run func(ctx *Context, in In) (Out, error), options ...Option) {
	if !name.MatchString(step) {
		panic(fmt.Sprintf("`%s`: a step's name is 1 to 128 letters, digits, `_` and `-`, and does not begin with `-`", step))
	}
	if find(step) != nil {
		panic(fmt.Sprintf("two steps of this component are called `%s`", step))
	}
	made := &entry{name: step, output: promised[Out]()}
	made.run = func(ctx *Context) (any, error) {
		var in In
		if err := json.Unmarshal([]byte(ctx.inputs()), &in); err != nil {
			return nil, &Invalid{Message: fmt.Sprintf("the inputs of the run are no %T: %v", in, err)}
		}
		return run(ctx, in)
	}
	for _, option := range options {
		option(made)
	}
	steps = append(steps, made)
}

// Summary says in one line, for people, what a step does.
func Summary(text string) Option {
	return func(step *entry) { step.summary = text }
}

// Compensate has a function undo the step when the run is rolled back. It has the grants of the step.
func Compensate(undo func(ctx *Context, undo Undo) error) Option {
	return func(step *entry) { step.compensate = undo }
}

// Fact says that a step may claim a fact, with a value of type T: see [Claim].
func Fact[T any](name string) Option {
	schema := promised[T]()
	if schema == nil {
		schema = json.RawMessage("{}")
	}
	return func(step *entry) { step.facts = append(step.facts, fact{name, schema}) }
}

func find(step string) *entry {
	for _, entry := range steps {
		if entry.name == step {
			return entry
		}
	}
	return nil
}
