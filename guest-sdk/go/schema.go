package wflo

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
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
// A struct is a closed object with its fields in their order; those with omitempty or omitzero need not be there, nor those of a
// pointer that is embedded.
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
		return &schema{Type: "array", Items: schemaOf(kind.Elem(), within)}
	case reflect.Map:
		made := &schema{Type: "object"}
		if values := schemaOf(kind.Elem(), within); values != nil {
			made.Additional, _ = json.Marshal(values)
		}
		return made
	case reflect.Pointer:
		return orNull(schemaOf(kind.Elem(), within))
	case reflect.Struct:
		return object(kind, within)
	default:
		return nil
	}
}

// orNull permits null as well, which is what a nil pointer is. A nil slice is an empty list: see [Marshal].
func orNull(of *schema) *schema {
	if of == nil {
		return of
	}
	return &schema{AnyOf: []*schema{of, {Type: "null"}}}
}

func object(kind reflect.Type, within []reflect.Type) *schema {
	made := &schema{Type: "object", Properties: &properties{}, Additional: json.RawMessage("false")}
	fields := members(kind, 0, true, nil)
	for at, it := range fields {
		if isHidden(fields, at) {
			continue
		}
		of := schemaOf(it.field.Type, within)
		if of == nil {
			of = &schema{}
		}
		if strings.Contains(it.options, "string") {
			of = &schema{Type: "string"}
		}
		of.Description = it.field.Tag.Get("description")
		if values := it.field.Tag.Get("enum"); values != "" {
			of.Enum = strings.Split(values, ",")
		}
		made.Properties.names = append(made.Properties.names, it.name)
		made.Properties.schemas = append(made.Properties.schemas, of)
		if it.isAlways && !strings.Contains(it.options, "omitempty") && !strings.Contains(it.options, "omitzero") {
			made.Required = append(made.Required, it.name)
		}
	}
	return made
}

// member is a field as encoding/json writes it.
type member struct {
	field    reflect.StructField
	name     string
	options  string
	isNamed  bool // by its tag
	depth    int  // in structs that are embedded
	isAlways bool // no pointer is embedded on the way to it
}

// members gives the fields of a struct, those of embedded structs without a name among them.
func members(kind reflect.Type, depth int, isAlways bool, outer []reflect.Type) []member {
	if slices.Contains(outer, kind) {
		return nil
	}
	outer = append(outer, kind)
	var all []member
	for at := range kind.NumField() {
		field := kind.Field(at)
		tag := field.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		of, isPointer := field.Type, field.Type.Kind() == reflect.Pointer
		if field.Anonymous && isPointer {
			of = of.Elem()
		}
		isWithin := field.Anonymous && of.Kind() == reflect.Struct
		switch {
		case tag == "-", !field.IsExported() && !isWithin:
		case isWithin && name == "":
			all = append(all, members(of, depth+1, isAlways && !isPointer, outer)...)
		case field.IsExported():
			it := member{field, name, options, name != "", depth, isAlways}
			if name == "" {
				it.name = field.Name
			}
			all = append(all, it)
		}
	}
	return all
}

// isHidden says whether another field of its name is written in its place, or neither, as encoding/json decides it.
func isHidden(fields []member, at int) bool {
	it := fields[at]
	for other, by := range fields {
		if other == at || by.name != it.name || by.depth > it.depth {
			continue
		}
		if by.depth < it.depth || by.isNamed || !it.isNamed {
			return true
		}
	}
	return false
}
