package rtc

import (
	"io"
	"sync"

	"github.com/pion/transport/v2/packetio"
)

const (
	mostUnread = 1_000_000 // bytes that are kept of a stream that is not read
	// mostBuffers bounds the streams of one connection: pion asks for a buffer for each SSRC that comes, before it has been shown to be the
	// peer's. A browser has two or three.
	mostBuffers = 256
)

// nobodys is the buffer of streams beyond mostBuffers.
type nobodys struct{}

func (nobodys) Write(p []byte) (int, error) { return len(p), nil }
func (nobodys) Read([]byte) (int, error)    { return 0, io.EOF }
func (nobodys) Close() error                { return nil }

// rtcpBuffer has the RTCP about an SSRC taken as it comes; nobody reads.
type rtcpBuffer struct {
	control *control
	ssrc    uint32
}

func (b rtcpBuffer) Write(p []byte) (int, error) {
	b.control.rtcp(b.ssrc, p)
	return len(p), nil
}

func (rtcpBuffer) Read([]byte) (int, error) { return 0, io.EOF }
func (rtcpBuffer) Close() error             { return nil }

// rtpBuffer keeps packets until they are read, or hands them over.
type rtpBuffer struct {
	*packetio.Buffer
	closed func(*rtpBuffer)
	mu     sync.Mutex // guards take, and is held while it runs
	take   func(b []byte)
}

func newRTPBuffer(closed func(*rtpBuffer)) *rtpBuffer {
	b := &rtpBuffer{Buffer: packetio.NewBuffer(), closed: closed}
	b.SetLimitSize(mostUnread)
	return b
}

// Close is pion's call when the stream has ended.
func (b *rtpBuffer) Close() error {
	b.closed(b)
	return b.Buffer.Close()
}

// Write is called by the one goroutine of the connection that decrypts RTP.
func (b *rtpBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.take == nil {
		return b.Buffer.Write(p)
	}
	b.take(p)
	return len(p), nil
}

// handOver gives take what is there, and from then on what comes. Nobody reads any more.
func (b *rtpBuffer) handOver(take func(b []byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take = take
	for p := make([]byte, mostDatagram); b.Count() > 0; {
		n, err := b.Read(p)
		if err != nil {
			return // it is closed
		}
		take(p[:n])
	}
}
