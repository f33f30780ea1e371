package berth

/*
#include <stdlib.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// memory is what one call needs of C's memory and of the caller's objects, until it is over.
type memory struct {
	owned []unsafe.Pointer
	alive []any
}

// array is filled with zeros.
func (m *memory) array(count int, size uintptr) unsafe.Pointer {
	pointer := C.calloc(C.size_t(count), C.size_t(size))
	m.owned = append(m.owned, pointer)
	return pointer
}

// text copies a text to where C has its pointer.
func (m *memory) text(place **C.char, text, parameter string) error {
	copied, err := cString(text, parameter)
	m.owned = append(m.owned, unsafe.Pointer(copied))
	*place = copied
	return err
}

// optional leaves out what is empty.
func (m *memory) optional(place **C.char, text, parameter string) error {
	if text == "" {
		return nil
	}
	return m.text(place, text, parameter)
}

// keep has files stay open that only the garbage collector would close.
func (m *memory) keep(object any) {
	m.alive = append(m.alive, object)
}

func (m *memory) release() {
	for _, pointer := range m.owned {
		C.free(pointer)
	}
	runtime.KeepAlive(m.alive)
}
