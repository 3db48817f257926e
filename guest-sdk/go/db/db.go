// Package db asks SQL databases, by the labels that workflow.toml grants.
//
// Parameters are bound, never pasted in. All that a step writes is one transaction for each database, which commits when
// the step has succeeded.
package db

import (
	"encoding/hex"
	"encoding/json"
	"iter"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	"github.com/wflo-ai/wflo/guest-sdk/go/artifact"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_db_sql"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// DB is a database; see [Open].
type DB struct{ label string }

// Open names a database. It reaches nothing.
func Open(label string) DB { return DB{label} }

// Query reads rows. Parameters are nil, booleans, numbers, text, bytes, [Decimal], [UUID], [time.Time], and for anything else
// its JSON.
func (db DB) Query(statement string, params ...any) (*Rows, error) {
	values, err := encoded(params)
	if err != nil {
		return nil, err
	}
	return rows(host.Query(db.label, statement, values))
}

// QueryAs reads rows, each as a value of type T: a struct whose fields are the columns, as encoding/json names them, or the
// value of the only column.
func QueryAs[T any](db DB, statement string, params ...any) ([]T, error) {
	return As[T](db.Query(statement, params...))
}

// Pages reads a result that may be larger than memory, most rows at a time and each time at least one, all of one snapshot:
// that of the first part, whatever is written meanwhile. It is begun before the step's first write to this database. After
// an error there is nothing more.
//
//	for page, err := range db.Open("bank").Pages("SELECT amount FROM transactions ORDER BY id", 10_000) {
func (db DB) Pages(statement string, most uint32, params ...any) iter.Seq2[*Rows, error] {
	return func(yield func(*Rows, error) bool) {
		values, err := encoded(params)
		if err != nil {
			yield(nil, err)
			return
		}
		for from := uint64(0); ; {
			page, err := rows(host.Page(db.label, statement, values, from, most))
			if err == nil && page.Len() == 0 || !yield(page, err) || err != nil {
				return
			}
			from += uint64(page.Len())
		}
	}
}

// Execute writes, and gives the number of rows changed.
func (db DB) Execute(statement string, params ...any) (uint64, error) {
	values, err := encoded(params)
	if err != nil {
		return 0, err
	}
	return count(host.Execute(db.label, statement, values))
}

// Call calls a statement that the workflow names, with its parameters by their names. One that writes gives one row with the
// column changed: the number of rows it changed. A policy may have people asked first; the step then waits for them.
func (db DB) Call(statement string, params map[string]any) (*Rows, error) {
	named := make(map[string]any, len(params))
	for name, value := range params {
		named[name] = parameter(value)
	}
	text, err := wflo.Marshal(named)
	if err != nil {
		return nil, err
	}
	return rows(host.Call(db.label, statement, string(text)))
}

// Format is how rows stand in an artifact.
type Format uint8

const (
	// JSONLines has one JSON value a line: an object of columns, or a list of values in the order of the columns.
	JSONLines = Format(host.RowFormat_JsonLines)
	// CSV has the names of the columns in its first line. Every value is text; an empty field is null.
	CSV = Format(host.RowFormat_Csv)
)

// BulkInsert inserts the rows of an artifact into a table, and gives their number: all of them or none. They go from the
// artifact to the database and not through the step. Columns are those that get values; without any, those of the first row.
func (db DB) BulkInsert(table string, from artifact.Artifact, format Format, columns ...string) (uint64, error) {
	source := host.RowSource{
		Name:   from.Name,
		Step:   witTypes.Some(from.Step),
		Item:   witTypes.None[uint32](),
		Format: host.RowFormat(format),
	}
	if from.Item != nil {
		source.Item = witTypes.Some(*from.Item)
	}
	return count(host.BulkInsert(db.label, table, columns, source))
}

func count(said witTypes.Result[uint64, host.Error]) (uint64, error) {
	if said.IsErr() {
		return 0, failed(said.Err())
	}
	return said.Ok(), nil
}

// parameter is a value of a named statement: JSON, which says its type only where JSON cannot hold it.
func parameter(value any) any {
	const safe = 1<<53 - 1
	switch it := value.(type) {
	case int:
		return integer(int64(it), safe)
	case int64:
		return integer(it, safe)
	case uint64:
		if it > safe {
			return map[string]any{"integer": json.Number(wide(it)).String()}
		}
	case []byte:
		return map[string]any{"blob": hex.EncodeToString(it)}
	}
	return value
}

func failed(why host.Error) error {
	switch why.Tag() {
	case host.Error_AccessDenied:
		return &wflo.AccessDenied{Message: why.AccessDenied()}
	case host.Error_Invalid:
		return &wflo.Invalid{Message: "invalid statement: " + why.Invalid()}
	case host.Error_Constraint:
		return &wflo.Constraint{Message: why.Constraint()}
	case host.Error_Limit:
		return &wflo.Limit{Message: why.Limit()}
	case host.Error_RefusedByPolicy:
		return &wflo.RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case host.Error_Rejected:
		return &wflo.Rejected{Message: why.Rejected()}
	case host.Error_Unavailable:
		return &wflo.Unavailable{Message: "the database is unavailable: " + why.Unavailable()}
	default:
		return &wflo.Other{Message: "the statement failed: " + why.Other()}
	}
}
