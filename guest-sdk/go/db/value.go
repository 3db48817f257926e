package db

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"time"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_db_sql"
)

// Decimal is an exact decimal, as text such as 12.50. Go has no type for one.
type Decimal string

// UUID is a UUID, as text.
type UUID string

func encoded(params []any) ([]host.Value, error) {
	values := make([]host.Value, len(params))
	for at, param := range params {
		value, err := encode(param)
		if err != nil {
			return nil, err
		}
		values[at] = value
	}
	return values, nil
}

// encode makes a parameter of a statement what the host takes.
func encode(param any) (host.Value, error) {
	switch it := param.(type) {
	case nil:
		return host.MakeValueNull(), nil
	case Decimal:
		return host.MakeValueDecimal(string(it)), nil
	case UUID:
		return host.MakeValueUuid(string(it)), nil
	case []byte:
		return host.MakeValueBlob(it), nil
	case time.Time:
		return host.MakeValueTimestamp(it.Format(time.RFC3339Nano)), nil
	case json.RawMessage:
		return host.MakeValueJson(string(it)), nil
	case *big.Int:
		return host.MakeValueDecimal(it.String()), nil
	}
	value := reflect.ValueOf(param)
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return host.MakeValueNull(), nil
		}
		return encode(value.Elem().Interface())
	case reflect.Bool:
		return host.MakeValueBoolean(value.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return host.MakeValueInteger(value.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if value.Uint() > 1<<63-1 {
			return host.MakeValueDecimal(wide(value.Uint())), nil
		}
		return host.MakeValueInteger(int64(value.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return host.MakeValueReal(value.Float()), nil
	case reflect.String:
		return host.MakeValueText(value.String()), nil
	}
	text, err := wflo.Marshal(param)
	if err != nil {
		return host.Value{}, err
	}
	return host.MakeValueJson(string(text)), nil
}

// decode gives a value of a row as Go has it: nil, bool, int64, float64, [Decimal], string, []byte, [time.Time], [UUID], or
// for JSON a [json.RawMessage].
func decode(value host.Value) (any, error) {
	switch value.Tag() {
	case host.Value_Null:
		return nil, nil
	case host.Value_Boolean:
		return value.Boolean(), nil
	case host.Value_Integer:
		return value.Integer(), nil
	case host.Value_Real:
		return value.Real(), nil
	case host.Value_Decimal:
		return Decimal(value.Decimal()), nil
	case host.Value_Text:
		return value.Text(), nil
	case host.Value_Blob:
		return value.Blob(), nil
	case host.Value_Timestamp:
		at, err := time.Parse(time.RFC3339Nano, value.Timestamp())
		if err != nil {
			return nil, &wflo.Invalid{Message: fmt.Sprintf("a value of a database: %v", err)}
		}
		return at, nil
	case host.Value_Json:
		return json.RawMessage(value.Json()), nil
	default:
		return UUID(value.Uuid()), nil
	}
}

func integer(value, safe int64) any {
	if value > safe || value < -safe {
		return map[string]any{"integer": strconv.FormatInt(value, 10)}
	}
	return value
}

func wide(value uint64) string { return strconv.FormatUint(value, 10) }
