// Package wflo is what the steps of wflo workflows are written with, in Go.
//
// A step is a function with a name. It gets what the run was given, as a value of a type of its own, and returns its
// output:
//
//	package main
//
//	import (
//		"github.com/wflo-ai/wflo/guest-sdk/go"
//		"github.com/wflo-ai/wflo/guest-sdk/go/db"
//		"github.com/wflo-ai/wflo/guest-sdk/go/llm"
//	)
//
//	type Inputs struct {
//		Since string `json:"since"`
//	}
//
//	type Flagged struct {
//		Accounts []string `json:"accounts" description:"ids of accounts with fraudulent transactions"`
//	}
//
//	func init() {
//		wflo.Step("analyze_transactions", analyze, wflo.Summary("Analyze recent transactions for fraud patterns"))
//	}
//
//	func analyze(ctx *wflo.Context, in Inputs) (Flagged, error) {
//		rows, err := db.Open("bank").Query("SELECT * FROM transactions WHERE at >= ?1", in.Since)
//		if err != nil {
//			return Flagged{}, err
//		}
//		flagged, err := llm.Analyze[Flagged]("gpt-4", rows, "Identify suspicious transaction patterns")
//		return flagged.Value, err
//	}
//
//	func main() {}
//
// `wflo build` makes a component of it. It imports what its steps use and nothing else: one that asks no database does not
// import wflo:db, so it needs no grant for one. Steps are made known in init functions, since main never runs.
//
// # Errors
//
// What a step returns as its error ends it. An error that has a method Kind says whether another attempt may help; those of
// the host choose it by themselves, and [Retryable], [Redo] and [Permanent] say it outright. Any other is permanent.
// [AccessDenied], [BudgetExceeded] and the others are for [errors.As].
//
// # Logs
//
// The loggers of log/slog and log end at wflo, where the attributes of a message are its fields.
package wflo
