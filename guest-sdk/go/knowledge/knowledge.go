// Package knowledge searches folders of documents that the host has made searchable, by the labels that workflow.toml grants.
package knowledge

import (
	"github.com/wflo-ai/wflo/guest-sdk/go"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_knowledge_search"
)

// Passage is one of a document.
type Passage struct {
	// Source is the document, and after a # the number of the passage in it.
	Source string `json:"source"`
	// Title is that of the document, and the headings above the passage.
	Title string `json:"title"`
	Text  string `json:"text"`
	// Score says how well it fits: above 0, the more the better.
	Score float64 `json:"score"`
}

// Search finds the passages that fit a question best, the best first, at most top of them, 1 to 50.
func Search(label, question string, top uint32) ([]Passage, error) {
	said := host.Search(label, question, top)
	if said.IsOk() {
		passages := make([]Passage, len(said.Ok()))
		for at, it := range said.Ok() {
			passages[at] = Passage{Source: it.Source, Title: it.Title, Text: it.Text, Score: it.Score}
		}
		return passages, nil
	}
	switch why := said.Err(); why.Tag() {
	case host.Error_AccessDenied:
		return nil, &wflo.AccessDenied{Message: why.AccessDenied()}
	case host.Error_Unknown:
		return nil, &wflo.Unknown{Message: why.Unknown()}
	case host.Error_RefusedByPolicy:
		return nil, &wflo.RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case host.Error_Rejected:
		return nil, &wflo.Rejected{Message: why.Rejected()}
	case host.Error_Invalid:
		return nil, &wflo.Invalid{Message: why.Invalid()}
	case host.Error_Unavailable:
		return nil, &wflo.Unavailable{Message: why.Unavailable()}
	default:
		return nil, &wflo.Other{Message: why.Other()}
	}
}
