// Package notify writes to people: mail, and messages on channels, to those that workflow.toml grants.
//
// What a step sends is queued, and leaves when the step has succeeded: one that fails or is tried again has written to nobody.
package notify

import (
	"github.com/wflo-ai/wflo/guest-sdk/go"
	channel "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_notify_channel"
	mail "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_notify_mail"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// Mail is a message of plain text.
type Mail struct {
	// To are the addresses, each such as ann@example.org, without a display name. Everybody sees the others.
	To []string
	// Subject is one line.
	Subject string
	// Text is what it says.
	Text string
	// Answers is the Message-ID of the message that it answers, without angle brackets, if it answers one.
	Answers string
}

// Send queues a mail, and gives the Message-ID that it will have, without angle brackets.
func (m Mail) Send() (string, error) {
	message := mail.Message{To: m.To, Subject: m.Subject, Text: m.Text, Answers: witTypes.None[string]()}
	if m.Answers != "" {
		message.Answers = witTypes.Some(m.Answers)
	}
	said := mail.Send(message)
	if said.IsOk() {
		return said.Ok(), nil
	}
	switch why := said.Err(); why.Tag() {
	case mail.Error_AccessDenied:
		return "", &wflo.AccessDenied{Message: why.AccessDenied()}
	case mail.Error_Unknown:
		return "", &wflo.Unknown{Message: why.Unknown()}
	case mail.Error_RefusedByPolicy:
		return "", &wflo.RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case mail.Error_Rejected:
		return "", &wflo.Rejected{Message: why.Rejected()}
	case mail.Error_Invalid:
		return "", &wflo.Invalid{Message: why.Invalid()}
	default:
		return "", &wflo.Other{Message: why.Other()}
	}
}

// Channel queues a message for a channel, by its address, such as slack://cs-managers: a line, and what it says as plain text.
func Channel(address, title, text string) error {
	said := channel.Send(address, channel.Message{Title: title, Text: text})
	if said.IsOk() {
		return nil
	}
	switch why := said.Err(); why.Tag() {
	case channel.Error_AccessDenied:
		return &wflo.AccessDenied{Message: why.AccessDenied()}
	case channel.Error_Unknown:
		return &wflo.Unknown{Message: why.Unknown()}
	case channel.Error_RefusedByPolicy:
		return &wflo.RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case channel.Error_Rejected:
		return &wflo.Rejected{Message: why.Rejected()}
	case channel.Error_Invalid:
		return &wflo.Invalid{Message: why.Invalid()}
	default:
		return &wflo.Other{Message: why.Other()}
	}
}
