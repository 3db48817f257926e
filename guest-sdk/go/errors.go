package wflo

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what another attempt of a step could do.
type Kind int

const (
	// KindPermanent says that another attempt cannot help.
	KindPermanent Kind = iota
	// KindRetryable says that another attempt may help. What models answered is kept, and not paid for again.
	KindRetryable
	// KindRedo says that another attempt may help which asks models afresh.
	KindRedo
)

// failure is an error that says what another attempt could do.
type failure struct {
	kind  Kind
	cause error
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }
func (f *failure) Kind() Kind    { return f.kind }

// Permanent makes an error that no other attempt can mend. Its arguments are those of [fmt.Errorf].
func Permanent(format string, args ...any) error {
	return &failure{KindPermanent, fmt.Errorf(format, args...)}
}

// Retryable makes an error after which another attempt may help. What models answered is kept.
func Retryable(format string, args ...any) error {
	return &failure{KindRetryable, fmt.Errorf(format, args...)}
}

// Redo makes an error after which another attempt may help that asks models afresh.
func Redo(format string, args ...any) error {
	return &failure{KindRedo, fmt.Errorf(format, args...)}
}

// KindOf says what another attempt could do after an error: the first in its chain that knows.
func KindOf(err error) Kind {
	var knows interface{ Kind() Kind }
	if errors.As(err, &knows) {
		return knows.Kind()
	}
	return KindPermanent
}

// permanent and retryable are what errors of the host are made of.
type (
	permanent struct{}
	retryable struct{}
)

func (permanent) Kind() Kind { return KindPermanent }
func (retryable) Kind() Kind { return KindRetryable }

// AccessDenied says that the step was not granted it, or that the deployment does not allow it.
type AccessDenied struct {
	permanent
	Message string
}

func (e *AccessDenied) Error() string { return "access denied: " + e.Message }

// BudgetExceeded says that the call would exceed the budget and was not made.
type BudgetExceeded struct {
	permanent
	// Left is what is left, in USD, as an exact decimal.
	Left string
}

func (e *BudgetExceeded) Error() string {
	return fmt.Sprintf("the call would exceed the budget, %s USD are left", e.Left)
}

// Unknown says that the deployment binds nothing of that name: no model, secret, knowledge base, channel; or that there is
// no artifact of that name.
type Unknown struct {
	permanent
	Message string
}

func (e *Unknown) Error() string { return e.Message }

// RefusedByPolicy says that a policy denied it.
type RefusedByPolicy struct {
	permanent
	// Policy is its name.
	Policy string
}

func (e *RefusedByPolicy) Error() string { return fmt.Sprintf("policy `%s` denied it", e.Policy) }

// Rejected says that people were asked about it, and decided against it or not in time.
type Rejected struct {
	permanent
	Message string
}

func (e *Rejected) Error() string { return "it was not approved: " + e.Message }

// RateLimited says that the provider of a model limits the rate.
type RateLimited struct {
	retryable
	// RetryAfter is the number of seconds to wait, if the provider said so, else 0.
	RetryAfter uint32
}

func (e *RateLimited) Error() string {
	if e.RetryAfter == 0 {
		return "the provider limits the rate"
	}
	return fmt.Sprintf("the provider limits the rate for %d s", e.RetryAfter)
}

// ContextTooLong says that a request is longer than the model's context.
type ContextTooLong struct {
	permanent
	Message string
}

func (e *ContextTooLong) Error() string { return "the request is too long for the model: " + e.Message }

// BadOutput says that a model's answer is not what it was asked for. Another attempt asks afresh.
type BadOutput struct {
	Message string
}

func (e *BadOutput) Error() string { return "the model's answer is no use: " + e.Message }

// Kind is [KindRedo].
func (e *BadOutput) Kind() Kind { return KindRedo }

// Unavailable says that the other side is away, busy or broken. Another attempt may help.
type Unavailable struct {
	retryable
	Message string
}

func (e *Unavailable) Error() string { return e.Message }

// Invalid says that the request itself is wrong.
type Invalid struct {
	permanent
	Message string
}

func (e *Invalid) Error() string { return e.Message }

// Constraint says that a constraint of the database refused a statement.
type Constraint struct {
	permanent
	Message string
}

func (e *Constraint) Error() string { return "a constraint refused the statement: " + e.Message }

// Limit says that it went over a limit.
type Limit struct {
	permanent
	Message string
}

func (e *Limit) Error() string { return "it went over a limit: " + e.Message }

// Stale says that what a terraform plan starts from has changed since it was made. Another attempt plans again.
type Stale struct {
	retryable
	Message string
}

func (e *Stale) Error() string { return e.Message }

// NotApplied says that a terraform plan could not be applied, and that everything is as it was before.
type NotApplied struct {
	permanent
	Message string
}

func (e *NotApplied) Error() string { return e.Message }

// HTTPStatus says that a server answered, and not with success.
type HTTPStatus struct {
	Status int
	// Body is the beginning of what it said.
	Body string
}

func (e *HTTPStatus) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("the server answered %d: %s", e.Status, e.Body), ": ")
}

// Kind is [KindRetryable] where the server was busy or broken.
func (e *HTTPStatus) Kind() Kind {
	if e.Status >= 500 || e.Status == 408 || e.Status == 425 || e.Status == 429 {
		return KindRetryable
	}
	return KindPermanent
}

// Other is an error of the host that is none of the others.
type Other struct {
	permanent
	Message string
}

func (e *Other) Error() string { return e.Message }
