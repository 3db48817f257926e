// Package export_wflo_step_handler is where the exports of a component, which are generated, find what they are to do.
package export_wflo_step_handler

import (
	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_step_handler"
	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_step_types"
	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// What the exports do. Package wflo sets them: it cannot be imported from here.
var (
	Describe   func() []wflo_step_handler.StepInfo
	Run        func(step string) wit_types.Result[string, wflo_step_types.Failure]
	Compensate func(what wflo_step_handler.Undo) wit_types.Result[wit_types.Unit, wflo_step_types.Failure]
)
