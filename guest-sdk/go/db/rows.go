package db

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_db_sql"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// Rows are what a statement gave, in the order of the database. As JSON they are a list of objects.
type Rows struct {
	// Columns are the names of the columns.
	Columns []string
	// Values has one list a row, as long as Columns. A value is nil, bool, int64, float64, [Decimal], string, []byte,
	// [time.Time], [UUID] or, for JSON, a [json.RawMessage].
	Values [][]any
}

func rows(said witTypes.Result[host.Rows, host.Error]) (*Rows, error) {
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	given := said.Ok()
	made := &Rows{Columns: given.Columns, Values: make([][]any, len(given.Rows))}
	for at, row := range given.Rows {
		made.Values[at] = make([]any, len(row))
		for column, value := range row {
			decoded, err := decode(value)
			if err != nil {
				return nil, err
			}
			made.Values[at][column] = decoded
		}
	}
	return made, nil
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.Values) }

// Get gives a value by the number of its row, from 0, and the name of its column; nil where there is none.
func (r *Rows) Get(row int, column string) any {
	for at, name := range r.Columns {
		if name == column && row < len(r.Values) {
			return r.Values[row][at]
		}
	}
	return nil
}

// MarshalJSON writes a list of objects, their columns in the order of the statement.
func (r *Rows) MarshalJSON() ([]byte, error) {
	text := []byte("[")
	for at := range r.Values {
		if at > 0 {
			text = append(text, ',')
		}
		row, err := r.object(at)
		if err != nil {
			return nil, err
		}
		text = append(text, row...)
	}
	return append(text, ']'), nil
}

func (r *Rows) object(row int) ([]byte, error) {
	text := []byte("{")
	for at, column := range r.Columns {
		if at > 0 {
			text = append(text, ',')
		}
		key, err := wflo.Marshal(column)
		if err != nil {
			return nil, err
		}
		value, err := wflo.Marshal(r.Values[row][at])
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, key...), ':'), value...)
	}
	return append(text, '}'), nil
}

// As reads rows as values of type T: see [QueryAs]. It takes what a statement returned as it is.
func As[T any](rows *Rows, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	kind := reflect.TypeFor[T]()
	whole := kind.Kind() == reflect.Struct || kind.Kind() == reflect.Map || kind.Kind() == reflect.Interface
	values := make([]T, len(rows.Values))
	for at := range rows.Values {
		var text []byte
		switch {
		case whole:
			text, err = rows.object(at)
		case len(rows.Columns) == 1:
			text, err = wflo.Marshal(rows.Values[at][0])
		default:
			err = &wflo.Invalid{Message: fmt.Sprintf("a row of %d columns is no %s", len(rows.Columns), kind)}
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &values[at]); err != nil {
			return nil, &wflo.Invalid{Message: fmt.Sprintf("row %d is no %s: %v", at+1, kind, err)}
		}
	}
	return values, nil
}
