package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	"github.com/wflo-ai/wflo/guest-sdk/go/artifact"
	"github.com/wflo-ai/wflo/guest-sdk/go/db"
	"github.com/wflo-ai/wflo/guest-sdk/go/fetch"
	"github.com/wflo-ai/wflo/guest-sdk/go/knowledge"
	"github.com/wflo-ai/wflo/guest-sdk/go/llm"
	"github.com/wflo-ai/wflo/guest-sdk/go/notify"
	"github.com/wflo-ai/wflo/guest-sdk/go/terraform"
)

func init() {
	wflo.Step("messages", messages)
	wflo.Step("publish", publish)
	wflo.Step("knowledge", lookUp)
	wflo.Step("artifacts", artifacts)
	wflo.Step("rows", rows)
	wflo.Step("infra", infra)
}

func readJSON(response *http.Response, into any) error {
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}

func messages(*wflo.Context, struct{}) (object, error) {
	id, err := notify.Mail{
		To: []string{"ann@example.org", "bob@example.org"}, Subject: "Grüße", Text: "Hello ü", Answers: "1@example.org",
	}.Send()
	if err != nil {
		return nil, err
	}
	if err := notify.Channel("slack://team", "told ü", "what was done"); err != nil {
		return nil, err
	}
	mail := func(to, subject string) string {
		return second(notify.Mail{To: []string{to}, Subject: subject, Text: "t"}.Send())
	}
	return object{
		"id":      strings.Contains(id, "@"),
		"denied":  []string{mail("ann@example.com", "s"), kind(notify.Channel("slack://other", "s", "t"))},
		"invalid": []string{mail("ann@example.org", "s\ns"), kind(notify.Channel("slack://team", "s\ns", "t"))},
	}, nil
}

func publish(_ *wflo.Context, in Inputs) (object, error) {
	response, err := fetch.Publish(in.site()+"/api/echo", object{"title": "ü"})
	if err != nil {
		return nil, err
	}
	var posted any
	if err := response.JSON(&posted); err != nil {
		return nil, err
	}
	_, err = fetch.Publish(in.site()+"/api/missing", 1)
	var missing *wflo.HTTPStatus
	if !errors.As(err, &missing) {
		return nil, wflo.Permanent("%v is no status", err)
	}
	return object{
		"posted": posted, "denied": second(fetch.Publish(in.site()+"/private", 1)), "missing": missing.Status,
	}, nil
}

func lookUp(*wflo.Context, struct{}) (object, error) {
	const question = "are worn shoes taken back?"
	found, err := knowledge.Search("help", question, 1)
	if err != nil {
		return nil, err
	}
	answer, err := llm.Answer(model, question, "help", 1)
	if err != nil {
		return nil, err
	}
	none, err := llm.Answer(model, "zyzzyva", "help", 5)
	cited := []string{}
	for _, citation := range answer.Value.Citations {
		cited = append(cited, citation.Source)
	}
	return object{
		"source": found[0].Source, "title": found[0].Title, "found": len(found), "score": found[0].Score > 0,
		"denied": second(knowledge.Search("other", "shoes", 5)), "invalid": second(knowledge.Search("help", "", 5)),
		"answered": answer.Value.Answered, "cited": cited, "unanswered": none.Value.Answered,
	}, err
}

type namedRow struct {
	ID   int     `json:"id"`
	Name *string `json:"name"`
}

func artifacts(_ *wflo.Context, in Inputs) (object, error) {
	writer, err := artifact.Create("rows.jsonl")
	if err != nil {
		return nil, err
	}
	first, third := "ü", "漢字"
	for at, name := range []*string{&first, nil, &third} {
		if err := writer.Row(namedRow{at + 1, name}); err != nil {
			return nil, err
		}
	}
	rows, err := writer.Finish()
	if err != nil {
		return nil, err
	}
	csv, err := write("rows.csv", []byte("id,name\r\n4,four\r\n5,\r\n"))
	if err != nil {
		return nil, err
	}
	reader, err := rows.Open()
	if err != nil {
		return nil, err
	}
	names := []*string{}
	err = artifact.Rows(reader, func(row namedRow) error {
		names = append(names, row.Name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	reader, err = artifact.Open("rows.jsonl")
	if err != nil {
		return nil, err
	}
	reader.SeekTo(8)
	middle := make([]byte, 6)
	if _, err := io.ReadFull(reader, middle); err != nil {
		return nil, err
	}
	bytes := make([]byte, 1_000_000)
	for at := range bytes {
		bytes[at] = byte(at % 251)
	}
	made, err := write("large.bin", bytes)
	if err != nil {
		return nil, err
	}
	reader, err = made.Open()
	if err != nil {
		return nil, err
	}
	back, err := io.ReadAll(reader)
	if err != nil {
		return nil, err
	}
	sum := 0
	for _, it := range back {
		sum += int(it)
	}
	saved, err := fetch.Request{URL: in.site() + "/api/json"}.Save("page.json")
	if err != nil {
		return nil, err
	}
	page, err := saved.Open()
	if err != nil {
		return nil, err
	}
	var read struct{ Text string }
	err = json.NewDecoder(page).Decode(&read)
	return object{
		"rows": rows, "csv": csv, "names": names, "middle": string(middle), "large": []int64{reader.Size(), int64(sum)},
		"saved": read.Text,
		"errors": []string{
			second(artifact.Open("nothing")), second(artifact.Create("rows.jsonl")),
			second(fetch.Request{URL: in.site() + "/private"}.Save("private")),
		},
	}, err
}

func write(name string, bytes []byte) (artifact.Artifact, error) {
	writer, err := artifact.Create(name)
	if err != nil {
		return artifact.Artifact{}, err
	}
	if _, err := writer.Write(bytes); err != nil {
		return artifact.Artifact{}, err
	}
	return writer.Finish()
}

func rows(ctx *wflo.Context, _ struct{}) (object, error) {
	made, _, err := wflo.OutputOf[struct{ Rows, CSV artifact.Artifact }](ctx, "artifacts")
	if err != nil {
		return nil, err
	}
	data := db.Open("data")
	inserted, err := data.BulkInsert("bulk", made.Rows, db.JSONLines)
	if err != nil {
		return nil, err
	}
	csv, err := data.BulkInsert("bulk", made.CSV, db.CSV, "id", "name")
	if err != nil {
		return nil, err
	}
	names, err := db.QueryAs[*string](data, "SELECT name FROM bulk ORDER BY id")
	return object{
		"inserted": inserted, "csv": csv, "names": names,
		"denied": second(data.BulkInsert("secrets", made.Rows, db.JSONLines)),
		"wrong":  second(data.BulkInsert("bulk", made.CSV, db.JSONLines)),
	}, err
}

func infra(*wflo.Context, struct{}) (object, error) {
	prod := terraform.Open("prod")
	before, err := prod.State()
	if err != nil {
		return nil, err
	}
	plan, err := prod.Plan(map[string]string{"main.tf": "output \"size\" {\n  value = \"large\"\n}\n"})
	if err != nil {
		return nil, err
	}
	applied, err := prod.Apply(plan.Digest)
	if err != nil {
		return nil, err
	}
	outputs := [][]any{}
	for _, change := range plan.Outputs {
		outputs = append(outputs, []any{change.Address, change.Action})
	}
	return object{
		"before": before.Outputs["size"], "outputs": outputs, "counts": []uint32{plan.Adds, plan.Changes, plan.Destroys},
		"after": applied.Outputs["size"], "serial": applied.Serial > before.Serial,
		"invalid": second(prod.Plan(map[string]string{"main.tf": "output {"})),
		"denied":  second(terraform.Open("other").State()),
	}, nil
}
