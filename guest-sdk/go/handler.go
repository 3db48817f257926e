package wflo

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	handler "github.com/wflo-ai/wflo/guest-sdk/go/internal/export_wflo_step_handler"
	_ "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/exports/wit_exports"
	exports "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_step_handler"
	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_step_types"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

func init() {
	handler.Describe = describe
	handler.Run = run
	handler.Compensate = compensate
}

func describe() []exports.StepInfo {
	infos := make([]exports.StepInfo, len(steps))
	for at, step := range steps {
		facts := make([]witTypes.Tuple2[string, string], len(step.facts))
		for at, fact := range step.facts {
			facts[at] = witTypes.Tuple2[string, string]{F0: fact.name, F1: string(fact.schema)}
		}
		infos[at] = exports.StepInfo{
			Name:         step.name,
			Summary:      step.summary,
			Compensates:  step.compensate != nil,
			OutputSchema: maybe(step.output),
			Facts:        facts,
		}
	}
	return infos
}

func run(name string) witTypes.Result[string, wflo_step_types.Failure] {
	output, err := guarded(func() (json.RawMessage, error) {
		step, err := known(name)
		if err != nil {
			return nil, err
		}
		output, err := step.run(newContext())
		if err != nil {
			return nil, err
		}
		return Marshal(output)
	})
	if err != nil {
		return witTypes.Err[string](failed(err))
	}
	return witTypes.Ok[string, wflo_step_types.Failure](string(output))
}

func compensate(what exports.Undo) witTypes.Result[witTypes.Unit, wflo_step_types.Failure] {
	_, err := guarded(func() (json.RawMessage, error) {
		step, err := known(what.Step)
		if err != nil {
			return nil, err
		}
		if step.compensate == nil {
			return nil, Permanent("step `%s` has no compensation", what.Step)
		}
		undo := Undo{Step: what.Step, Certain: what.Certain, item: what.Item, output: what.Output}
		return nil, step.compensate(newContext(), undo)
	})
	if err != nil {
		return witTypes.Err[witTypes.Unit](failed(err))
	}
	return witTypes.Ok[witTypes.Unit, wflo_step_types.Failure](witTypes.Unit{})
}

func known(name string) (*entry, error) {
	if step := find(name); step != nil {
		return step, nil
	}
	if len(steps) == 0 {
		return nil, Permanent("the component has no steps: no init function calls `wflo.Step`")
	}
	names := make([]string, len(steps))
	for at, step := range steps {
		names[at] = "`" + step.name + "`"
	}
	return nil, Permanent("the component has no step `%s`, only %s", name, strings.Join(names, ", "))
}

// guarded makes an error of a panic, and says in the log where it came from: a trap would say neither.
func guarded(call func() (json.RawMessage, error)) (output json.RawMessage, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			slog.LogAttrs(context.Background(), slog.LevelError, fmt.Sprintf("panic: %v", panicked),
				slog.String("stack", string(debug.Stack())))
			err = Permanent("panic: %v", panicked)
		}
	}()
	return call()
}

func failed(err error) wflo_step_types.Failure {
	switch KindOf(err) {
	case KindRetryable:
		return wflo_step_types.MakeFailureRetryable(err.Error())
	case KindRedo:
		return wflo_step_types.MakeFailureRedo(err.Error())
	default:
		return wflo_step_types.MakeFailurePermanent(err.Error())
	}
}

func maybe(schema json.RawMessage) witTypes.Option[string] {
	if schema == nil {
		return witTypes.None[string]()
	}
	return witTypes.Some(string(schema))
}
