package av

import (
	"unsafe"

	"github.com/asticode/go-astiav"
)

// go-astiav v0.16.0 hands out no pointer to its codec, packet and format
// contexts. Each of those structs is one C pointer first; TestAstiavLayout
// fails should another release arrange them differently.

func codecPointer(cc *astiav.CodecContext) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(cc))
}

func packetPointer(p *astiav.Packet) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(p))
}

func formatPointer(fc *astiav.FormatContext) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(fc))
}
