package call

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"rendezvous/dht/value"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/sipchannel"
)

// Whatever is sent at once, a device gets the requests of a dialog in the order of their numbers:
// it drops one that comes too late.
func TestRequestsLeaveInTheirOrder(t *testing.T) {
	channels := make(chan *sipchannel.Channel, 1)
	x := sipchannel.New(sipchannel.Config{Account: strings.Repeat("a", 40)})
	x.OnRequest(func(c *sipchannel.Channel, _ *sip.Request) bool { channels <- c; return true })
	near, other := net.Pipe()
	var served sync.WaitGroup
	served.Go(func() { x.Serve(connection.Peer{Account: value.Key{1}}, near) })
	defer func() { other.Close(); served.Wait(); x.Close() }()
	if _, err := io.WriteString(other, strings.ReplaceAll(requestHead, "\n", "\r\n")+"Content-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	link := <-channels
	c := &Call{link: link, cfg: Config{Title: func() string { return "Lobby" }}}
	c.peer, c.dialog = link.Open("c", "t")

	const each, senders = 50, 8
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range each {
				tx, err := c.begin(sip.MESSAGE, "text/plain", []byte("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				tx.End()
			}
		})
	}
	in := textproto.NewReader(bufio.NewReader(other))
	for want := range each * senders {
		if _, err := in.ReadLine(); err != nil {
			t.Fatal(err)
		}
		h, err := in.ReadMIMEHeader()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, in.R, int64(len("hello"))); err != nil {
			t.Fatal(err)
		}
		if got := h.Get("Cseq"); got != fmt.Sprintf("%d MESSAGE", want+1) {
			t.Fatalf("request %d has the number %q", want+1, got)
		}
		if allow := h.Get("Allow"); allow != "" {
			t.Fatalf("request %d says what we take: %s", want+1, allow)
		}
	}
	sending.Wait()
	if h := c.newRequest(sip.ACK, c.peer, 1).GetHeader("Allow"); h != nil {
		t.Errorf("an ACK says what we take (RFC 3261 table 2), which can hang jamid: %v", h)
	}
}
