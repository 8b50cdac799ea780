package gitwire

import (
	"bufio"
	"net"
	"time"
)

// How long a line may take.
const (
	lineTime = time.Minute // of a server, for each line
	// listTime is how long a server may take to begin the list of its references, which needs no
	// computing. The server of daemons says nothing at all of a conversation that they are still
	// making; who asks again a little later gets it.
	listTime  = 10 * time.Second
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
func (c *channel) line() ([]byte, error) { return c.lineWithin(c.patience) }

func (c *channel) lineWithin(patience time.Duration) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
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
