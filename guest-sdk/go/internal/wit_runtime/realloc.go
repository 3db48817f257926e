//go:build wasm

package wit_runtime

import "unsafe"

// begun is set once the runtime has begun and its heap can be used.
var begun = false

func init() { begun = true }

// These are the runtime's own. While a goroutine holds the machine it runs on, no collection of garbage begins.
//
//go:linkname sbrk runtime.sbrk
func sbrk(size uintptr) unsafe.Pointer

//go:linkname acquirem runtime.acquirem
func acquirem() unsafe.Pointer

//go:linkname releasem runtime.releasem
func releasem(machine unsafe.Pointer)

//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

// cabiRealloc gives the host memory for a result. Nothing may call the host meanwhile: the component would trap. A collection
// of garbage does, to read the clock and to look for what is ready, so that none may begin here; it begins with the next
// allocation after. Before the runtime has begun there is no heap yet.
//
//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if old != nil || oldSize != 0 {
		panic("the host makes nothing larger that it has")
	}
	if !begun {
		memory := sbrk(size + align)
		return unsafe.Add(memory, (align-uintptr(memory)%align)%align)
	}
	machine := acquirem()
	pauseClock(true)
	memory := Allocate(&results, size, align)
	pauseClock(false)
	releasem(machine)
	return memory
}
