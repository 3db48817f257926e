// What every SDK must do, in Go.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	"github.com/wflo-ai/wflo/guest-sdk/go/db"
	"github.com/wflo-ai/wflo/guest-sdk/go/fetch"
	"github.com/wflo-ai/wflo/guest-sdk/go/fetch/transport"
	"github.com/wflo-ai/wflo/guest-sdk/go/llm"
)

// Inputs are those of the run.
type Inputs struct {
	Text   string  `json:"text"`
	Number float64 `json:"number"`
	Safe   int64   `json:"safe"`
	Big    string  `json:"big"`
	Flag   bool    `json:"flag"`
	List   []any   `json:"list"`
	Port   *int    `json:"port"`
}

func (in Inputs) site() string { return fmt.Sprintf("http://127.0.0.1:%d", *in.Port) }

type object = map[string]any

func main() {}

func init() {
	wflo.Step("context", runContext)
	wflo.Step("after", after)
	wflo.Step("skipped", func(*wflo.Context, struct{}) (any, error) { return nil, nil })
	wflo.Step("values", values)
	wflo.Step("large", large)
	wflo.Step("pages", pages)
	wflo.Step("db_errors", dbErrors)
	wflo.Step("named", named)
	wflo.Step("models", models)
	wflo.Step("model_errors", modelErrors)
	wflo.Step("requests", requests)
	wflo.Step("people", people)
	wflo.Step("facts", facts, wflo.Fact[int]("score"))
	wflo.Step("cost", cost)
	wflo.Step("fail", fail)
	wflo.Step("effect", effect, wflo.Compensate(undo))
}

// kind is the name of the type of an error.
func kind(err error) string {
	if err == nil {
		return "none"
	}
	return reflect.TypeOf(err).Elem().Name()
}

// second is the error of what a function returned.
func second[T any](_ T, err error) string { return kind(err) }

func runContext(ctx *wflo.Context, in Inputs) (object, error) {
	in.Port = nil
	item, _, err := wflo.Item[any](ctx)
	if err != nil {
		return nil, err
	}
	stranger, _, err := wflo.OutputOf[any](ctx, "after")
	return object{
		"inputs": in, "item": item, "attempt": ctx.Attempt(), "step": ctx.StepName(), "run_id": len(ctx.RunID()),
		"stranger": stranger, "decision": ctx.Decision() != nil,
	}, err
}

func after(ctx *wflo.Context, _ struct{}) (object, error) {
	made, _, err := wflo.OutputOf[struct{ Inputs Inputs }](ctx, "context")
	if err != nil {
		return nil, err
	}
	skipped, _, err := wflo.OutputOf[any](ctx, "skipped")
	return object{"text": made.Inputs.Text, "list": made.Inputs.List, "skipped": skipped}, err
}

func values(_ *wflo.Context, in Inputs) (object, error) {
	data := db.Open("data")
	changed, err := data.Execute(
		"INSERT INTO kept (n, safe, r, t, b, d, x, yes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		int64(-1<<63+1), 9007199254740993, 0.1, in.Text, []byte{0, 9, 10, 255}, db.Decimal("12.50"), nil, true,
	)
	if err != nil {
		return nil, err
	}
	rows, err := data.Query("SELECT n, safe, r, t, b, d, x, yes FROM kept WHERE id > ?1 ORDER BY id", 0)
	if err != nil {
		return nil, err
	}
	none, err := data.Query("SELECT n FROM kept WHERE id = ?1", -1)
	if err != nil {
		return nil, err
	}
	bytes := []int{}
	for _, it := range rows.Get(0, "b").([]byte) {
		bytes = append(bytes, int(it))
	}
	return object{
		"changed": changed, "columns": rows.Columns,
		"n": strconv.FormatInt(rows.Get(0, "n").(int64), 10), "safe": fmt.Sprint(rows.Get(0, "safe")),
		"r": rows.Get(0, "r"), "text": rows.Get(0, "t") == in.Text, "b": bytes, "d": rows.Get(0, "d"),
		"x": rows.Get(0, "x"), "yes": rows.Get(0, "yes"), "none": none.Len(),
	}, nil
}

func large(*wflo.Context, struct{}) (object, error) {
	data := db.Open("data")
	texts, err := db.QueryAs[string](data, "SELECT printf('%.*c', 1000000, 'x') AS t")
	if err != nil {
		return nil, err
	}
	sent, err := db.QueryAs[int](data, "SELECT length(?1) AS n", strings.Repeat("ü", 500_000))
	if err != nil {
		return nil, err
	}
	type row struct{ N int }
	rows, err := db.QueryAs[row](
		data, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c",
	)
	sum := 0
	for _, row := range rows {
		sum += row.N
	}
	return object{"length": len(texts[0]), "sent": sent[0], "sum": sum, "text": strings.Repeat("é", 100_000)}, err
}

func pages(*wflo.Context, struct{}) (object, error) {
	const numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c ORDER BY n"
	sizes, sum := []int{}, int64(0)
	for page, err := range db.Open("data").Pages(numbers, 2000) {
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, page.Len())
		for at := range page.Len() {
			sum += page.Get(at, "n").(int64)
		}
	}
	denied := "none"
	for _, err := range db.Open("data").Pages("SELECT id FROM secrets", 10) {
		denied = kind(err)
	}
	return object{"sizes": sizes, "sum": sum, "denied": denied}, nil
}

func dbErrors(*wflo.Context, struct{}) ([]string, error) {
	data := db.Open("data")
	insert := func() string { return second(data.Execute("INSERT INTO once (id) VALUES (?1)", "a")) }
	return []string{
		second(data.Query("SELEC 1")),
		second(data.Query("SELECT id FROM secrets")),
		second(db.Open("other").Query("SELECT 1")),
		insert(),
		insert(),
	}, nil
}

func named(*wflo.Context, struct{}) (object, error) {
	data := db.Open("data")
	type row struct {
		N, Less int64
		Price   db.Decimal
		Bytes   string
	}
	params := object{"n": 9007199254740993, "price": db.Decimal("0.10"), "bytes": []byte{0, 255}}
	rows, err := db.As[row](data.Call("double", params))
	if err != nil {
		return nil, err
	}
	return object{
		"n": strconv.FormatInt(rows[0].N, 10), "less": strconv.FormatInt(rows[0].Less, 10), "price": rows[0].Price,
		"bytes": rows[0].Bytes, "denied": second(data.Call("forbidden", nil)),
	}, nil
}

type answer struct {
	Count uint     `json:"count"`
	Words []string `json:"words"`
}

const model = "gpt-4"

func models(*wflo.Context, struct{}) (object, error) {
	cold, seed := 0.0, uint64(7)
	chat, err := llm.Chat{
		Model: model, System: "Be terse.", Prompt: "漢字?", MaxTokens: 50, Temperature: &cold, Seed: &seed,
	}.Send()
	if err != nil {
		return nil, err
	}
	structured, err1 := llm.As[answer](llm.Chat{Model: model, Prompt: "Count."})
	analyzed, err2 := llm.Analyze[answer](model, []int{1, 2}, "Count.")
	classified, err3 := llm.Classify(model, "give it back", "refund", "question")
	transformed, err4 := llm.Transform[answer](model, []int{1, 2, 3}, "Count.")
	validated, err5 := llm.Validate(model, []int{1}, "no number twice")
	code, err6 := llm.GenerateCode(model, "Python", []string{"print"})
	moderated, err7 := llm.Moderate(model, "spam", "No spam")
	drawn, err8 := llm.Synthesize[answer](model, []int{1, 2}, "Count.")
	return object{
		"text": chat.Text, "finish_reason": chat.FinishReason,
		"tokens":     chat.Usage.OutputTokens > 0 && drawn.Usage.OutputTokens > 0,
		"structured": structured.Value, "analyzed": analyzed.Value, "category": classified.Value.Category,
		"transformed": len(transformed.Value), "verdicts": len(validated.Value.Verdicts),
		"code": code.Value.Code == "", "moderated": moderated.Value.Verdict, "drawn": drawn.Value,
	}, errors.Join(err1, err2, err3, err4, err5, err6, err7, err8)
}

func modelErrors(*wflo.Context, struct{}) ([]string, error) {
	return []string{
		second(llm.Chat{Model: "gpt-3.5-turbo", Prompt: "Hi"}.Send()),
		second(llm.Chat{Model: model, Prompt: "Hi"}.Send()),
		second(llm.Chat{Model: model}.Send()),
	}, nil
}

func requests(_ *wflo.Context, in Inputs) (object, error) {
	site := in.site()
	client := http.Client{Transport: transport.Transport{}}
	got, err := client.Get(site + "/api/json?q=a%20b%26%C3%BC")
	if err != nil {
		return nil, err
	}
	var page, posted any
	if err := readJSON(got, &page); err != nil {
		return nil, err
	}
	body := object{"text": "漢字", "list": []int{1, 2}}
	sent, err := fetch.Request{Method: "POST", URL: site + "/api/echo", JSON: body}.Send()
	if err != nil {
		return nil, err
	}
	if err := sent.JSON(&posted); err != nil {
		return nil, err
	}
	large := strings.Repeat("ü", 100_000)
	echoed, err := fetch.Request{Method: "POST", URL: site + "/api/echo", Body: []byte(large)}.Send()
	if err != nil {
		return nil, err
	}
	moved, err := fetch.Get(site + "/api/moved")
	if err != nil {
		return nil, err
	}
	missing, err := fetch.Get(site + "/api/missing")
	if err != nil {
		return nil, err
	}
	var status *wflo.HTTPStatus
	if !errors.As(missing.Success(), &status) {
		return nil, wflo.Permanent("%d is no error", missing.Status)
	}
	key, err := wflo.Secret("key")
	if err != nil {
		return nil, err
	}
	header := fetch.Request{URL: site + "/api/header", Headers: []fetch.Header{{Name: "X-Key", Value: "Key " + key}}}
	shown, err := header.Send()
	if err != nil {
		return nil, err
	}
	return object{
		"got": page, "posted": posted, "echoed": echoed.Text() == large, "moved": moved.Text(),
		"status": []any{status.Status, status.Body},
		"denied": second(fetch.Get(site+"/private")) == "AccessDenied",
		"secret": second(wflo.Secret("other")) == "AccessDenied",
		"header": strings.Contains(shown.Text(), "s3cret"), "key": key != "s3cret-of-the-host",
	}, nil
}

func people(ctx *wflo.Context, _ struct{}) (object, error) {
	decision, err := wflo.Ask{
		Summary: "Go on? ü", Details: object{"n": 1}, Approvers: []string{"alice"}, Quorum: 1,
	}.Decide()
	if err != nil {
		return nil, err
	}
	votes := [][]any{}
	for _, vote := range decision.Votes {
		votes = append(votes, []any{vote.By, vote.Approved, vote.Comment})
	}
	last := ctx.Decision()
	return object{
		"status": decision.Status, "votes": votes, "last": last != nil && last.Approved(),
		"nobody": second(wflo.Ask{Summary: "Nobody"}.Decide()) == "Invalid",
	}, nil
}

func facts(*wflo.Context, struct{}) (object, error) {
	verdict, err := wflo.Claim("score", 5)
	return object{
		"unopposed": verdict == wflo.Unopposed,
		"denied":    second(wflo.Claim("other", 5)) == "AccessDenied",
		"refused":   second(wflo.Claim("score", 500)) == "RefusedByPolicy",
	}, err
}

func cost(ctx *wflo.Context, _ struct{}) (bool, error) {
	slog.Info("spent ü", "usd", "0.0125", "list", []int{1, 2}, "nothing", nil)
	err := ctx.ReportCost("cloud", "0.0125", "an hour")
	return kind(ctx.ReportCost("cloud", "much", "")) == "Invalid", err
}

func fail(ctx *wflo.Context, _ struct{}) (int, error) {
	if ctx.Attempt() > 1 {
		return ctx.Attempt(), nil
	}
	time.Sleep(5 * time.Millisecond)
	item, _, err := wflo.Item[string](ctx)
	if err != nil {
		return 0, err
	}
	switch item {
	case "permanent":
		return 0, wflo.Permanent("no: ü")
	case "retryable":
		return 0, wflo.Retryable("later")
	case "redo":
		return 0, fmt.Errorf("wrapped: %w", wflo.Redo("again"))
	}
	var nothing []int
	return nothing[len(item)], nil
}

type effected struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

func effect(_ *wflo.Context, in Inputs) (effected, error) {
	response, err := fetch.Request{Method: "POST", URL: in.site() + "/api/echo", Body: []byte("e-1")}.Send()
	if err != nil {
		return effected{}, err
	}
	return effected{ID: "e-1", Text: "ü"}, response.Success()
}

func undo(_ *wflo.Context, what wflo.Undo) error {
	output, _, err := wflo.UndoneOutput[effected](what)
	if err != nil {
		return err
	}
	_, err = db.Open("data").Execute(
		"INSERT INTO undone (step, output, certain) VALUES (?1, ?2, ?3)", what.Step, output.ID, what.Certain,
	)
	return err
}
