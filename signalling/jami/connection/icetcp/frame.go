package icetcp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// maxFrame is the longest content a 16-bit length can tell (RFC 4571 section 2).
const maxFrame = 65535

// maxCheck bounds a frame while a connection is still being checked: only
// STUN messages belong there, and those are well under 300 bytes.
const maxCheck = 2048

var errLongCheck = errors.New("icetcp: frame too long for a connectivity check")

// stunHeader is the least a STUN message has (RFC 5389 section 6).
const stunHeader = 20

// isSTUN tells a STUN message from anything else by its first eight bytes: the
// type's first byte is at most 3, where a TLS record has 20 to 23, and the
// magic cookie stands at offset 4.
func isSTUN(b []byte) bool {
	return len(b) >= stunHeader && b[0] <= 3 && binary.BigEndian.Uint32(b[4:8]) == 0x2112a442
}

// readCheck reads one frame of at most maxCheck bytes.
func readCheck(r *bufio.Reader) ([]byte, error) {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(h[:]))
	if n > maxCheck {
		return nil, errLongCheck
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// writeFrame writes one frame with a single system call where the connection
// allows it.
func writeFrame(w net.Conn, b []byte) error {
	var h [2]byte
	binary.BigEndian.PutUint16(h[:], uint16(len(b)))
	bufs := net.Buffers{h[:], b}
	_, err := bufs.WriteTo(w)
	return err
}
