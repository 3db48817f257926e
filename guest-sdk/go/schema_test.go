package wflo

import (
	"encoding/json"
	"testing"
	"time"
)

type finding struct {
	Account string            `json:"account" description:"the account's id"`
	Kind    string            `json:"kind" enum:"one,two"`
	Score   *float64          `json:"score"`
	Tags    []string          `json:"tags,omitempty"`
	Count   uint8             `json:"count"`
	At      time.Time         `json:"at"`
	More    map[string]int    `json:"more"`
	Wide    int64             `json:"wide,string"`
	Any     any               `json:"any"`
	Raw     json.RawMessage   `json:"raw"`
	Within  []finding         `json:"within,omitempty"`
	hidden  int               //nolint:unused
	Skipped map[string]string `json:"-"`
}

func TestATypeHasASchema(t *testing.T) {
	expected := `{"type":"object","properties":{` +
		`"account":{"description":"the account's id","type":"string"},` +
		`"kind":{"type":"string","enum":["one","two"]},` +
		`"score":{"anyOf":[{"type":"number"},{"type":"null"}]},` +
		`"tags":{"type":"array","items":{"type":"string"}},` +
		`"count":{"type":"integer","minimum":0},` +
		`"at":{"type":"string","format":"date-time"},` +
		`"more":{"type":"object","additionalProperties":{"type":"integer"}},` +
		`"wide":{"type":"string"},"any":{},"raw":{},"within":{"type":"array"}},` +
		`"required":["account","kind","score","count","at","more","wide","any","raw"],"additionalProperties":false}`
	if schema := string(SchemaOf[finding]()); schema != expected {
		t.Errorf("expected %s\n     got %s", expected, schema)
	}
	for kind, schema := range map[string]json.RawMessage{
		`{"type":"boolean"}`:                                                      SchemaOf[bool](),
		`{"type":"array","items":{"type":"integer"}}`:                             SchemaOf[[]int](),
		`{"type":"string"}`:                                                       SchemaOf[[]byte](),
		`{"anyOf":[{"type":"string"},{"type":"null"}]}`:                           SchemaOf[*string](),
		`{"type":"object","properties":{},"additionalProperties":false}`:          SchemaOf[struct{}](),
		`{"anyOf":[{"type":"array","items":{"type":"integer"}},{"type":"null"}]}`: SchemaOf[*[]int](),
		``: SchemaOf[any](),
	} {
		if string(schema) != kind {
			t.Errorf("expected %s, got %s", kind, schema)
		}
	}
}

type Named struct {
	A int `json:"a"`
	X int `json:"x"`
}

type Maybe struct {
	B []int `json:"b"`
}

type inner struct {
	C      int
	Shadow string
	lower  int //nolint:unused
}

type Text string

type outer struct {
	Named `json:"named"`
	*Maybe
	inner
	Text
	Shadow bool
	Dash   int `json:"-,"`
	X      int `json:"x"`
	Twice1
	Twice2
}

type Twice1 struct{ T int }
type Twice2 struct{ T int }

func TestEmbeddedStructsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	integer := `{"type":"integer"}`
	expected := `{"type":"object","properties":{` +
		`"named":{"type":"object","properties":{"a":` + integer + `,"x":` + integer + `},"required":["a","x"],"additionalProperties":false},` +
		`"b":{"type":"array","items":` + integer + `},"C":` + integer + `,"Text":{"type":"string"},"Shadow":{"type":"boolean"},` +
		`"-":` + integer + `,"x":` + integer + `},"required":["named","C","Text","Shadow","-","x"],"additionalProperties":false}`
	if schema := string(SchemaOf[outer]()); schema != expected {
		t.Errorf("expected %s\n     got %s", expected, schema)
	}
	// Exactly these fields are what is written.
	for text, value := range map[string]outer{
		`{"named":{"a":0,"x":0},"C":0,"Text":"","Shadow":false,"-":0,"x":0}`:        {},
		`{"named":{"a":0,"x":0},"b":[],"C":0,"Text":"","Shadow":false,"-":0,"x":0}`: {Maybe: &Maybe{}},
	} {
		if got, err := Marshal(value); err != nil || string(got) != text {
			t.Errorf("expected %s\n     got %s, %v", text, got, err)
		}
	}
}
