// Package wit_runtime is what the bindings need at run time: memory for what crosses to the host, and handles.
package wit_runtime

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Handle is a resource of the host.
type Handle struct{ value int32 }

// MakeHandle makes one of the number that the host gave.
func MakeHandle(value int32) *Handle {
	if value == 0 {
		panic("nil handle")
	}
	return &Handle{value}
}

// Use gives its number.
func (h *Handle) Use() int32 {
	if h.value == 0 {
		panic("the resource is closed, or was handed on")
	}
	return h.value
}

// Take gives its number to somebody else.
func (h *Handle) Take() int32 {
	value := h.Use()
	h.value = 0
	return value
}

// TakeOrNil gives its number to somebody else, or 0 if it has none.
func (h *Handle) TakeOrNil() int32 {
	value := h.value
	h.value = 0
	return value
}

// Set gives it a number.
func (h *Handle) Set(value int32) {
	if value == 0 || h.value != 0 {
		panic("the resource has a handle")
	}
	h.value = value
}

// Allocate gives memory that stays where it is until the pinner lets it go.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	pointer := allocate(size, align)
	pinner.Pin(pointer)
	return pointer
}

func allocate(size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	number := (size + align - 1) / align
	switch align {
	case 1:
		return unsafe.Pointer(unsafe.SliceData(make([]uint8, number)))
	case 2:
		return unsafe.Pointer(unsafe.SliceData(make([]uint16, number)))
	case 4:
		return unsafe.Pointer(unsafe.SliceData(make([]uint32, number)))
	case 8:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, number)))
	default:
		panic(fmt.Sprintf("nothing is aligned to %d bytes", align))
	}
}

// results is what the host was given memory for, until the call that asked for it has returned.
var results runtime.Pinner

// Unpin lets go of it.
func Unpin() { results.Unpin() }
