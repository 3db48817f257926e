package wflo

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"
)

type lists struct {
	Plain   []string            `json:"plain"`
	Map     map[string][]int    `json:"map"`
	Bytes   []byte              `json:"bytes"`
	Within  []lists             `json:"within"`
	Pointer *lists              `json:"pointer"`
	Any     any                 `json:"any"`
	Raw     json.RawMessage     `json:"raw"`
	At      time.Time           `json:"at"`
	Empty   []int               `json:"empty,omitempty"`
	Zero    []int               `json:"zero,omitzero"`
	Struct  struct{ A []int }   `json:"struct,omitzero"`
	Array   [1]map[string][]int `json:"array"`
	embedded
	hidden []int
}

type embedded struct{ E []int }

func TestNilSlicesAndMapsAreEmpty(t *testing.T) {
	empty := `"plain":[],"map":{},"bytes":"","within":[],"pointer":null,"any":null,"raw":null,"at":"0001-01-01T00:00:00Z","array":[{}],"E":[]`
	for _, it := range []struct {
		value any
		text  string
	}{
		{nil, `null`},
		{[]string(nil), `[]`},
		{map[string]int(nil), `{}`},
		{(*lists)(nil), `null`},
		{lists{}, `{` + empty + `}`},
		{&lists{}, `{` + empty + `}`},
		{[]any{[]int(nil), map[string]any{"a": []any(nil)}, 1}, `[[],{"a":[]},1]`},
		{map[string][]int{"a": nil, "b": {1}}, `{"a":[],"b":[1]}`},
		{[][]int{nil, {1}}, `[[],[1]]`},
		{json.RawMessage(nil), `null`},
		{struct{ P *[]int }{new([]int)}, `{"P":[]}`},
	} {
		text, err := Marshal(it.value)
		if err != nil || string(text) != it.text {
			t.Errorf("%#v: expected %s\n     got %s, %v", it.value, it.text, text, err)
		}
	}
}

func TestWhatIsWrittenIsNotChanged(t *testing.T) {
	value := &lists{Within: []lists{{}}, Pointer: &lists{}, Any: []any{[]int(nil)}, Map: map[string][]int{"a": nil}}
	text, err := Marshal(value)
	expected := &lists{Within: []lists{{}}, Pointer: &lists{}, Any: []any{[]int(nil)}, Map: map[string][]int{"a": nil}}
	if err != nil || !reflect.DeepEqual(value, expected) {
		t.Errorf("%s: %+v", text, value)
	}
}

func TestWhatContainsItselfIsNoJSON(t *testing.T) {
	type node struct {
		Left, Right *node
		Tags        []string
	}
	round := &node{}
	round.Left, round.Right = round, round
	if _, err := Marshal(round); err == nil {
		t.Error("it was written")
	}
	if _, err := Marshal([]float64{math.NaN()}); err == nil {
		t.Error("it was written")
	}
}
