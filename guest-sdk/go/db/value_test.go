package db

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"
)

func TestValuesKeepEveryDigit(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	for _, value := range []any{
		nil, true, int64(math.MinInt64), int64(9007199254740993), 0.1, math.Inf(1), "ü", []byte{0, 255}, Decimal("12.50"),
		UUID("00000000-0000-0000-0000-000000000007"), at, json.RawMessage(`[1]`),
	} {
		encoded, err := encode(value)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(encoded); err != nil || !reflect.DeepEqual(back, value) {
			t.Errorf("%v became %v, %v", value, back, err)
		}
	}
	type name string
	text, number := "x", uint64(math.MaxUint64)
	for _, it := range []struct{ from, to any }{
		{name("n"), "n"}, {&text, "x"}, {(*string)(nil), nil}, {uint8(7), int64(7)}, {number, Decimal("18446744073709551615")},
		{map[string]int{"a": 1}, json.RawMessage(`{"a":1}`)},
	} {
		encoded, err := encode(it.from)
		if err != nil {
			t.Fatal(err)
		}
		if back, _ := decode(encoded); !reflect.DeepEqual(back, it.to) {
			t.Errorf("%v became %#v", it.from, back)
		}
	}
	if _, err := encode(func() {}); err == nil {
		t.Error("a function is no value")
	}
}

func TestParametersByNameSayTheirTypeWhereJSONHasNone(t *testing.T) {
	named := map[string]any{"b": parameter([]byte{0, 255}), "i": parameter(int64(math.MaxInt64)), "n": parameter(7), "t": parameter("x")}
	text, err := json.Marshal(named)
	if err != nil || string(text) != `{"b":{"blob":"00ff"},"i":{"integer":"9223372036854775807"},"n":7,"t":"x"}` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestRowsAreReadAsTheirType(t *testing.T) {
	rows := &Rows{Columns: []string{"id", "name"}, Values: [][]any{{int64(9007199254740993), "ü"}, {int64(2), nil}}}
	type row struct {
		ID   int64
		Name *string
	}
	read, err := As[row](rows, nil)
	if err != nil || read[0].ID != 9007199254740993 || *read[0].Name != "ü" || read[1].Name != nil {
		t.Errorf("%+v, %v", read, err)
	}
	if text, err := json.Marshal(rows); err != nil || string(text) != `[{"id":9007199254740993,"name":"ü"},{"id":2,"name":null}]` {
		t.Errorf("%s, %v", text, err)
	}
	if rows.Get(0, "name") != "ü" || rows.Get(0, "none") != nil || rows.Get(7, "id") != nil {
		t.Error("a value is found by its row and column")
	}
	if _, err := As[string](rows, nil); err == nil {
		t.Error("two columns are no text")
	}
}
