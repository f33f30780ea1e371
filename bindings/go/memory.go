package berth

/*
#include <stdlib.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// memory holds the C memory and the caller's objects that one call needs.
type memory struct {
	owned []unsafe.Pointer
	alive []any
}

// array allocates zeroed memory.
func (m *memory) array(count int, size uintptr) unsafe.Pointer {
	pointer := C.calloc(C.size_t(count), C.size_t(size))
	m.owned = append(m.owned, pointer)
	return pointer
}

// text copies a string to a C pointer.
func (m *memory) text(place **C.char, text, parameter string) error {
	copied, err := cString(text, parameter)
	m.owned = append(m.owned, unsafe.Pointer(copied))
	*place = copied
	return err
}

// optional skips an empty string.
func (m *memory) optional(place **C.char, text, parameter string) error {
	if text == "" {
		return nil
	}
	return m.text(place, text, parameter)
}

// texts copies strings to a C array of pointers; NULL for none.
func (m *memory) texts(place ***C.char, texts []string, parameter string) error {
	if len(texts) == 0 {
		return nil
	}
	*place = (**C.char)(m.array(len(texts), unsafe.Sizeof(*place)))
	for i, text := range texts {
		if err := m.text(&unsafe.Slice(*place, len(texts))[i], text, parameter); err != nil {
			return err
		}
	}
	return nil
}

// keep keeps files open until the call is over; the garbage collector could close them.
func (m *memory) keep(object any) {
	m.alive = append(m.alive, object)
}

func (m *memory) release() {
	for _, pointer := range m.owned {
		C.free(pointer)
	}
	runtime.KeepAlive(m.alive)
}
