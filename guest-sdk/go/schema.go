package wflo

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

var (
	ofTime   = reflect.TypeFor[time.Time]()
	ofRaw    = reflect.TypeFor[json.RawMessage]()
	ofNumber = reflect.TypeFor[json.Number]()
	ofJSON   = reflect.TypeFor[json.Marshaler]()
	ofText   = reflect.TypeFor[encoding.TextMarshaler]()
)

// SchemaOf gives the JSON Schema of a type, as encoding/json writes it: nil for one that promises nothing, such as any.
//
// A struct is a closed object with its fields in their order; those with omitempty, omitzero or a pointer need not be there.
// The tag description is one: `description:"the account's id"`; the tag enum lists what a text may be:
// `enum:"safe,review,block"`.
func SchemaOf[T any]() json.RawMessage { return promised[T]() }

func promised[T any]() json.RawMessage {
	schema := schemaOf(reflect.TypeFor[T](), nil)
	if schema == nil {
		return nil
	}
	text, err := Marshal(schema)
	if err != nil {
		panic(err)
	}
	return text
}

// schema is a JSON Schema, its keywords in the order in which other SDKs have them.
type schema struct {
	Description string          `json:"description,omitempty"`
	AnyOf       []*schema       `json:"anyOf,omitempty"`
	Type        string          `json:"type,omitempty"`
	Format      string          `json:"format,omitempty"`
	Minimum     *int            `json:"minimum,omitempty"`
	Enum        []string        `json:"enum,omitempty"`
	Items       *schema         `json:"items,omitempty"`
	Properties  *properties     `json:"properties,omitempty"`
	Required    []string        `json:"required,omitempty"`
	Additional  json.RawMessage `json:"additionalProperties,omitempty"`
}

// properties keeps its order.
type properties struct {
	names   []string
	schemas []*schema
}

func (p *properties) MarshalJSON() ([]byte, error) {
	text := []byte("{")
	for at, name := range p.names {
		if at > 0 {
			text = append(text, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(p.schemas[at])
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, key...), ':'), value...)
	}
	return append(text, '}'), nil
}

// schemaOf gives the schema of a type within others: one that contains itself promises nothing there.
func schemaOf(kind reflect.Type, within []reflect.Type) *schema {
	for _, outer := range within {
		if outer == kind {
			return nil
		}
	}
	within = append(within, kind)
	switch {
	case kind == ofTime:
		return &schema{Type: "string", Format: "date-time"}
	case kind == ofNumber:
		return &schema{Type: "number"}
	case kind == ofRaw, kind.Kind() != reflect.Pointer && kind.Implements(ofJSON):
		return nil
	case kind.Kind() != reflect.Pointer && kind.Implements(ofText):
		return &schema{Type: "string"}
	}
	switch kind.Kind() {
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &schema{Type: "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &schema{Type: "integer", Minimum: new(int)}
	case reflect.Float32, reflect.Float64:
		return &schema{Type: "number"}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Slice, reflect.Array:
		if kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Uint8 {
			return &schema{Type: "string"}
		}
		return orNull(&schema{Type: "array", Items: schemaOf(kind.Elem(), within)}, kind.Kind() == reflect.Slice)
	case reflect.Map:
		made := &schema{Type: "object"}
		if values := schemaOf(kind.Elem(), within); values != nil {
			made.Additional, _ = json.Marshal(values)
		}
		return made
	case reflect.Pointer:
		return orNull(schemaOf(kind.Elem(), within), true)
	case reflect.Struct:
		return object(kind, within)
	default:
		return nil
	}
}

// orNull permits null as well where a pointer may be nil. A nil slice is null too, which nobody means: it is left out.
func orNull(of *schema, isPointer bool) *schema {
	if of == nil || !isPointer || of.Type == "array" {
		return of
	}
	return &schema{AnyOf: []*schema{of, {Type: "null"}}}
}

func object(kind reflect.Type, within []reflect.Type) *schema {
	made := &schema{Type: "object", Properties: &properties{}, Additional: json.RawMessage("false")}
	for _, field := range reflect.VisibleFields(kind) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		// What is embedded has its fields among these.
		if !field.IsExported() || name == "-" || field.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		of := schemaOf(field.Type, within)
		if of == nil {
			of = &schema{}
		}
		if strings.Contains(options, "string") {
			of = &schema{Type: "string"}
		}
		of.Description = field.Tag.Get("description")
		if values := field.Tag.Get("enum"); values != "" {
			of.Enum = strings.Split(values, ",")
		}
		made.Properties.names = append(made.Properties.names, name)
		made.Properties.schemas = append(made.Properties.schemas, of)
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			made.Required = append(made.Required, name)
		}
	}
	return made
}
