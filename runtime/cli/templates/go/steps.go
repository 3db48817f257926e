// The steps.
package main

import (
	"log/slog"

	"github.com/wflo-ai/wflo/guest-sdk/go"
)

// Inputs are those of the run.
type Inputs struct {
	Name string `json:"name"`
}

// Greeting is what the step promises to return.
type Greeting struct {
	Text string `json:"text"`
}

func init() {
	wflo.Step("hello", hello, wflo.Summary("Greet whoever is named"))
}

func hello(_ *wflo.Context, in Inputs) (Greeting, error) {
	slog.Info("greeting", "name", in.Name)
	return Greeting{Text: greeting(in.Name)}, nil
}

// A component begins with its init functions, and never calls main.
func main() {}
