package berth

import "sync"

// handle is a C pointer that is released once, and never while a call uses it.
type handle[P comparable] struct {
	mutex   sync.RWMutex
	pointer P
}

// acquire returns the pointer for one call; release must follow. Do not nest calls.
func (h *handle[P]) acquire(what string) (P, error) {
	h.mutex.RLock()
	var none P
	if h.pointer == none {
		h.mutex.RUnlock()
		return none, invalid(what, "is closed")
	}
	return h.pointer, nil
}

func (h *handle[P]) release() {
	h.mutex.RUnlock()
}

// close returns the pointer for the last time: the zero value if it was closed before.
func (h *handle[P]) close() P {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var none P
	pointer := h.pointer
	h.pointer = none
	return pointer
}
