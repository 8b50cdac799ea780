package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/skip2/go-qrcode"
)

// doorNames are the doors for people.
var doorNames = map[string]string{"web": "web  ", "sip": "phone", "jami": "Jami "}

// board is where people read where to meet. Jami addresses can come later than the others.
type board struct {
	mu sync.Mutex // guards what follows, and writing
	w  io.Writer  // nil until the others are written
	up map[string]bool
}

// meet prints where people meet.
func (h *house) meet(w io.Writer) {
	b := &h.board
	b.mu.Lock()
	defer b.mu.Unlock()
	b.w, b.up = w, make(map[string]bool)
	for _, r := range h.host.Rooms() {
		fmt.Fprintf(w, "%s\n", r.Title())
		for _, d := range h.doors {
			for _, a := range d.Addresses(r.ID()) {
				b.write(r.ID(), d.Name(), a)
			}
		}
		switch {
		case h.jami == nil || b.up[r.ID()]:
		case h.jami.BeingMade(r.ID()):
			fmt.Fprintf(w, "  %s  is being made, and follows\n", doorNames["jami"])
		default: // /healthz says what keeps it
			fmt.Fprintf(w, "  %s  follows\n", doorNames["jami"])
		}
	}
	fmt.Fprintf(w, "Moderators: %s link ROOM makes a link for one\n", os.Args[0])
	fmt.Fprintf(w, "Operators:  http://%s/healthz /readyz /metrics\n", h.admin.Addr())
}

// meetLater prints the Jami address of a room that has it only now.
func (h *house) meetLater(room string) {
	b := &h.board
	b.mu.Lock()
	defer b.mu.Unlock()
	r, err := h.host.Room(room)
	addresses := h.jami.Addresses(room)
	if err != nil || len(addresses) == 0 || b.w == nil || b.up[room] {
		return
	}
	fmt.Fprintf(b.w, "%s\n", r.Title())
	b.write(room, "jami", addresses[0])
}

// write writes an address, one of Jami with a code for cameras; mu is held.
func (b *board) write(room, door, address string) {
	fmt.Fprintf(b.w, "  %s  %s\n", doorNames[door], address)
	if door != "jami" {
		return
	}
	b.up[room] = true
	if code, err := qrcode.New(address, qrcode.Low); err == nil {
		fmt.Fprintf(b.w, "%s\n", code.ToSmallString(false))
	}
}
