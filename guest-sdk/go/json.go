package wflo

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Marshal writes JSON as wflo has it: as encoding/json does, without escapes for HTML. JSON elsewhere has doubles: an
// integer beyond 2^53 that others than Go read is better a field with the option `string`.
func Marshal(value any) (json.RawMessage, error) {
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
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
