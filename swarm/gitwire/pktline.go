// Package gitwire speaks git's smart protocol, version 0, over a channel: as the
// server of a conversation (upload-pack; nobody pushes) and as the client that
// fetches one. The responder of a channel is always the server. One channel
// carries any number of requests, one after the other.
package gitwire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxLine is the longest pkt-line, its four digits included.
const maxLine = 65520

// ErrProtocol is wrapped by errors about what the peer sent.
var ErrProtocol = errors.New("git protocol")

func protocol(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}

// appendLine adds a pkt-line.
func appendLine(b []byte, payload string) []byte {
	return fmt.Appendf(b, "%04x%s", len(payload)+4, payload)
}

const flush = "0000"

// readLine reads a pkt-line; nil is a flush.
func readLine(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil || n > maxLine || n > 0 && n < 4 {
		return nil, protocol("a line of length %q", head[:])
	}
	if n == 0 {
		return nil, nil
	}
	line := make([]byte, n-4)
	if _, err := io.ReadFull(r, line); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return line, nil
}
