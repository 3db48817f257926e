package wflo

import (
	gate "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_approval_gate"
	policy "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_approval_policy"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// DecisionStatus is how an approval ended: approved, rejected or expired.
type DecisionStatus string

const (
	// Approved says that everybody who had to has approved.
	Approved DecisionStatus = "approved"
	// WasRejected says that somebody who may has rejected.
	WasRejected DecisionStatus = "rejected"
	// Expired says that nobody decided in time.
	Expired DecisionStatus = "expired"
)

// Vote is one person's.
type Vote struct {
	// By is the principal.
	By       string `json:"by"`
	Approved bool   `json:"approved"`
	// Comment is what they wrote beside it, if anything.
	Comment string `json:"comment,omitempty"`
}

// Decision is what people decided.
type Decision struct {
	Status DecisionStatus `json:"status"`
	// Votes are those that counted, in the order they were cast.
	Votes []Vote `json:"votes"`
}

// Approved says whether everybody who had to has approved.
func (d *Decision) Approved() bool { return d.Status == Approved }

// Ask is something that people are asked.
type Ask struct {
	// Summary is one line for them.
	Summary string
	// Details are what is decided on, as JSON; nothing where it is nil.
	Details any
	// Approvers are the groups and principals that are asked: one distinct person of each.
	Approvers []string
	// Quorum is any so many distinct persons of them instead, where it is not 0.
	Quorum uint32
	// TimeoutSeconds is how long they have; for ever where it is 0.
	TimeoutSeconds uint32
}

// Decide asks people, and waits for their decision for as long as it takes, at no cost. A rejection is a decision, not an
// error.
func (a Ask) Decide() (*Decision, error) {
	asked := gate.Ask{
		Summary:        a.Summary,
		Details:        witTypes.None[string](),
		Approvers:      a.Approvers,
		Quorum:         witTypes.None[uint32](),
		TimeoutSeconds: witTypes.None[uint32](),
	}
	if a.Details != nil {
		details, err := Marshal(a.Details)
		if err != nil {
			return nil, err
		}
		asked.Details = witTypes.Some(string(details))
	}
	if a.Quorum != 0 {
		asked.Quorum = witTypes.Some(a.Quorum)
	}
	if a.TimeoutSeconds != 0 {
		asked.TimeoutSeconds = witTypes.Some(a.TimeoutSeconds)
	}
	said := gate.Request(asked)
	if said.IsOk() {
		return decision(said.Ok()), nil
	}
	switch why := said.Err(); why.Tag() {
	case gate.Error_AccessDenied:
		return nil, &AccessDenied{Message: why.AccessDenied()}
	case gate.Error_Invalid:
		return nil, &Invalid{Message: why.Invalid()}
	default:
		return nil, &Other{Message: why.Other()}
	}
}

// Decision is the last decision about this step, else about those it depends on; nil if nobody was asked.
func (*Context) Decision() *Decision {
	if last := gate.Decision(); last.IsSome() {
		return decision(last.Some())
	}
	return nil
}

func decision(outcome gate.Outcome) *Decision {
	made := &Decision{Status: Expired, Votes: make([]Vote, len(outcome.Votes))}
	switch outcome.Status {
	case gate.Status_Approved:
		made.Status = Approved
	case gate.Status_Rejected:
		made.Status = WasRejected
	}
	for at, vote := range outcome.Votes {
		made.Votes[at] = Vote{By: vote.By, Approved: vote.Approved, Comment: vote.Comment.SomeOr("")}
	}
	return made
}

// Verdict is what the policies said to a fact.
type Verdict string

const (
	// Unopposed says that none objects.
	Unopposed Verdict = "unopposed"
	// AutoApproved says that one permits it outright.
	AutoApproved Verdict = "auto-approved"
	// PeopleApproved says that people were asked and have approved.
	PeopleApproved Verdict = "approved"
	// PeopleRejected says that people were asked and did not approve, and that the policy lets the step go on.
	PeopleRejected Verdict = "rejected"
)

// Permits says whether the step may do what the fact is about.
func (v Verdict) Permits() bool { return v != PeopleRejected }

// Claim claims a fact that the step declares in workflow.toml, and gives what the policies say to it.
func Claim(name string, value any) (Verdict, error) {
	text, err := Marshal(value)
	if err != nil {
		return "", err
	}
	said := policy.Fact(name, string(text))
	if said.IsOk() {
		switch said.Ok() {
		case policy.Verdict_AutoApproved:
			return AutoApproved, nil
		case policy.Verdict_Approved:
			return PeopleApproved, nil
		case policy.Verdict_Rejected:
			return PeopleRejected, nil
		default:
			return Unopposed, nil
		}
	}
	switch why := said.Err(); why.Tag() {
	case policy.Error_AccessDenied:
		return "", &AccessDenied{Message: why.AccessDenied()}
	case policy.Error_Invalid:
		return "", &Invalid{Message: why.Invalid()}
	case policy.Error_RefusedByPolicy:
		return "", &RefusedByPolicy{Policy: why.RefusedByPolicy()}
	default:
		return "", &Other{Message: why.Other()}
	}
}
