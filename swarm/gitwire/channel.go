package gitwire

import (
	"bufio"
	"net"
	"time"
)

// How long a line may take.
const (
	lineTime  = time.Minute      // of a server, for each line
	askTime   = 15 * time.Second // of a client, within a request; one that stalls gets a new channel
	writeTime = time.Minute
)

// channel is either end's, with deadlines.
type channel struct {
	conn     net.Conn
	r        *bufio.Reader
	patience time.Duration // with the other end, for each line
}

func newChannel(conn net.Conn, patience time.Duration) channel {
	return channel{conn, bufio.NewReader(conn), patience}
}

// line reads a pkt-line; nil is a flush.
func (c *channel) line() ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return nil, err
	}
	return readLine(c.r)
}

func (c *channel) write(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}
