package wflo

import (
	"context"
	"fmt"

	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_step_context"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// Context is what a step may always ask about the run it is part of, and a [context.Context] that is never done: the host
// stops a step, and nothing of it goes on.
type Context struct {
	context.Context
}

func newContext() *Context { return &Context{context.Background()} }

func (*Context) inputs() string { return host.Inputs() }

// RunID is the id of the run.
func (*Context) RunID() string { return host.RunId() }

// StepName is the name of this step.
func (*Context) StepName() string { return host.Step() }

// Attempt is the number of this attempt, from 1.
func (*Context) Attempt() int { return int(host.Attempt()) }

// ReportCost reports a cost that wflo does not see: in a cloud, at an API. The amount is an exact decimal such as 0.0125.
func (*Context) ReportCost(kind, usd, note string) error {
	if said := host.ReportCost(kind, usd, note); said.IsErr() {
		return &Invalid{Message: said.Err()}
	}
	return nil
}

// Input reads one input of the run, or its default; nothing, and false, where there is none.
func Input[T any](_ *Context, name string) (T, bool, error) {
	return given[T](fmt.Sprintf("input `%s`", name), host.Input(name))
}

// OutputOf reads the output of a step that this one depends on, directly or through others; nothing, and false, for any
// other step and for one that was skipped.
func OutputOf[T any](_ *Context, step string) (T, bool, error) {
	return given[T](fmt.Sprintf("the output of `%s`", step), host.OutputOf(step))
}

// Item reads the element that this attempt works on, where the step fans out with for_each; nothing, and false, elsewhere.
func Item[T any](*Context) (T, bool, error) {
	return given[T]("the item", host.Item())
}

// Undo is a step to undo.
type Undo struct {
	// Step is the function that it was run by. Where steps of workflow.toml share it, Context.StepName says which this is.
	Step string
	// Certain is false where it is unknown whether the step's effects happened.
	Certain bool

	item, output witTypes.Option[string]
}

// UndoneItem reads the item that the step worked on, if it fanned out.
func UndoneItem[T any](undo Undo) (T, bool, error) { return given[T]("the item", undo.item) }

// UndoneOutput reads the output of the step, if it got that far.
func UndoneOutput[T any](undo Undo) (T, bool, error) {
	return given[T](fmt.Sprintf("the output of `%s`", undo.Step), undo.output)
}

func given[T any](what string, text witTypes.Option[string]) (T, bool, error) {
	if text.IsNone() {
		var nothing T
		return nothing, false, nil
	}
	value, err := read[T](what, text.Some())
	return value, err == nil, err
}
