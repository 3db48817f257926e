package wflo

import (
	rawjson "encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_step_types"
)

func TestAnErrorSaysWhatAnotherAttemptCouldDo(t *testing.T) {
	for _, it := range []struct {
		err  error
		kind Kind
		text string
	}{
		{errors.New("plain"), KindPermanent, "plain"},
		{Permanent("no: %d", 7), KindPermanent, "no: 7"},
		{fmt.Errorf("while reading: %w", Retryable("later")), KindRetryable, "while reading: later"},
		{errors.Join(errors.New("one"), Redo("again")), KindRedo, "one\nagain"},
		{&HTTPStatus{Status: 503}, KindRetryable, "the server answered 503"},
		{&HTTPStatus{Status: 404, Body: "x"}, KindPermanent, "the server answered 404: x"},
		{&Unavailable{Message: "away"}, KindRetryable, "away"},
		{&BadOutput{Message: "text"}, KindRedo, "the model's answer is no use: text"},
		{fmt.Errorf("denied: %w", &AccessDenied{Message: "it"}), KindPermanent, "denied: access denied: it"},
	} {
		failure := failed(it.err)
		var text string
		switch failure.Tag() {
		case wflo_step_types.Failure_Permanent:
			text = failure.Permanent()
		case wflo_step_types.Failure_Retryable:
			text = failure.Retryable()
		case wflo_step_types.Failure_Redo:
			text = failure.Redo()
		}
		if KindOf(it.err) != it.kind || Kind(failure.Tag()) != it.kind || text != it.text {
			t.Errorf("%v: kind %d, text %q", it.err, KindOf(it.err), text)
		}
	}
	var denied *AccessDenied
	if !errors.As(fmt.Errorf("x: %w", &AccessDenied{Message: "it"}), &denied) || denied.Message != "it" {
		t.Error("a typed error is not found in a chain")
	}
}

func TestAPanicIsAnError(t *testing.T) {
	_, err := guarded(func() (rawjson.RawMessage, error) {
		var nothing []int
		return nil, fmt.Errorf("%d", nothing[1])
	})
	if err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("%v", err)
	}
}

func TestAStepHasANameOfItsOwn(t *testing.T) {
	nothing := func(*Context, struct{}) (any, error) { return nil, nil }
	Step("one", nothing, Summary("s"), Fact[int]("score"))
	infos := describe()
	if len(infos) != 1 || infos[0].Summary != "s" || infos[0].Facts[0].F1 != `{"type":"integer"}` || infos[0].OutputSchema.IsSome() {
		t.Errorf("%+v", infos)
	}
	for _, name := range []string{"one", "-x", "", "ü"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("`%s` is no name", name)
				}
			}()
			Step(name, nothing)
		}()
	}
}

func TestFieldsAreJSONInTheirOrder(t *testing.T) {
	line := ""
	for _, attr := range []slog.Attr{
		slog.String("b", "<ü>"), slog.Int("a", 1), slog.Any("err", errors.New("x")), slog.Duration("for", time.Second),
		slog.Group("g", slog.Bool("in", true)), slog.Any("bad", func() {}), slog.String("message", "m"), {},
	} {
		line = string(appendAttr([]byte(line), nil, attr))
	}
	expected := `,"b":"<ü>","a":1,"err":"x","for":"1s","g.in":true,"bad":"func() is no JSON: json: unsupported type: func()","message_":"m"`
	if line != expected {
		t.Errorf("expected %s\n     got %s", expected, line)
	}
}

func TestWhereThereIsNoHostItIsSaid(t *testing.T) {
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "there is no host here") {
			t.Error(said)
		}
	}()
	newContext().RunID()
}
