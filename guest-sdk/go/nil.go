package wflo

import (
	"reflect"
	"strings"
	"sync"
)

// deepest is where encoding/json begins to look for values that contain themselves, which it refuses.
const deepest = 1000

// withoutNil gives a copy of a value in which nil slices are empty ones, and nil maps too. What is given is not changed.
func withoutNil(value any) any {
	given := reflect.ValueOf(value)
	if !given.IsValid() || !hasRoom(given.Type()) {
		return value
	}
	made := copied(given)
	if !fill(made, 0) {
		return value
	}
	return made.Interface()
}

// fill does it to a value in its place, and copies what that refers to; false where the value nests too deep.
func fill(value reflect.Value, depth int) bool {
	kind := value.Type()
	if depth > deepest {
		return false
	}
	if !hasRoom(kind) {
		return true
	}
	switch kind.Kind() {
	case reflect.Slice:
		made := reflect.MakeSlice(kind, value.Len(), value.Len())
		reflect.Copy(made, value)
		value.Set(made)
		return !hasRoom(kind.Elem()) || fillElements(value, depth)
	case reflect.Array:
		return fillElements(value, depth)
	case reflect.Map:
		made := reflect.MakeMapWithSize(kind, value.Len())
		for all := value.MapRange(); all.Next(); {
			within := copied(all.Value())
			if !fill(within, depth+1) {
				return false
			}
			made.SetMapIndex(all.Key(), within)
		}
		value.Set(made)
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return true
		}
		within := copied(value.Elem())
		if !fill(within, depth+1) {
			return false
		}
		if kind.Kind() == reflect.Pointer {
			within = within.Addr()
		}
		value.Set(within)
	case reflect.Struct:
		return fillFields(value, depth)
	}
	return true
}

func fillElements(value reflect.Value, depth int) bool {
	for at := range value.Len() {
		if !fill(value.Index(at), depth+1) {
			return false
		}
	}
	return true
}

func fillFields(value reflect.Value, depth int) bool {
	for at := range value.NumField() {
		field, of := value.Field(at), value.Type().Field(at)
		// What is embedded may be of a type that is not exported, and have fields that are.
		isWithin := field.CanSet() || of.Anonymous && of.Type.Kind() == reflect.Struct
		_, options, _ := strings.Cut(of.Tag.Get("json"), ",")
		isLeftOut := strings.Contains(options, "omitzero") && field.IsZero()
		if isWithin && !isLeftOut && !fill(field, depth+1) {
			return false
		}
	}
	return true
}

func copied(value reflect.Value) reflect.Value {
	made := reflect.New(value.Type()).Elem()
	made.Set(value)
	return made
}

// rooms has what hasRoom has found out.
var rooms sync.Map

// hasRoom says whether values of a type have room for a nil slice or map that encoding/json would write.
func hasRoom(kind reflect.Type) bool {
	if known, is := rooms.Load(kind); is {
		return known.(bool)
	}
	has := false
	switch kind.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		has = !writesItself(kind)
	case reflect.Array:
		has = !writesItself(kind) && hasRoom(kind.Elem())
	case reflect.Struct:
		for at := 0; !has && !writesItself(kind) && at < kind.NumField(); at++ {
			has = hasRoom(kind.Field(at).Type)
		}
	}
	rooms.Store(kind, has)
	return has
}

// writesItself says whether encoding/json asks values of a type for their text.
func writesItself(kind reflect.Type) bool {
	if kind.Kind() != reflect.Pointer && kind.Kind() != reflect.Interface {
		kind = reflect.PointerTo(kind)
	}
	return kind.Implements(ofJSON) || kind.Implements(ofText)
}
