package wflo

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Marshal writes JSON as wflo has it: as encoding/json does, without escapes for HTML, and nil slices as empty lists, nil maps as
// empty objects, as the second version of encoding/json does. Integers keep every digit; who reads them as doubles, as JSON has
// them elsewhere, is better given a field with the option `string` beyond 2^53.
func Marshal(value any) (json.RawMessage, error) {
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(withoutNil(value)); err != nil {
		return nil, &Invalid{Message: fmt.Sprintf("%T is no JSON: %v", value, err)}
	}
	return bytes.TrimSuffix(written.Bytes(), []byte("\n")), nil
}

// read reads JSON of the host as a value of a type.
func read[T any](what, text string) (T, error) {
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return value, &Invalid{Message: fmt.Sprintf("%s is no %T: %v", what, value, err)}
	}
	return value, nil
}
