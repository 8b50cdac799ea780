package siptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rendezvous/internal/eventually"
)

// Call calls a room over a transport, "UDP" or "TCP", is in it, and hangs up: what a door must
// still do after whatever else it was sent. The test fails if it does not.
func (d *Door) Call(t testing.TB, transport, room string) {
	t.Helper()
	s := d.Socket(t, transport)
	s.Send(s.Request("INVITE", "sip:"+room+"@127.0.0.1", map[string]string{"From": "<sip:caller@127.0.0.1>;tag=1"}, Offer))
	if got := s.Answer(Deadline); got != "SIP/2.0 200 OK" {
		t.Fatalf("a call is answered with %q", got)
	}
	s.Confirm()
	there := func() bool { return slices.Contains(d.Participants(t, room), "caller") }
	eventually.True(t, "the caller is in the room", there)
	s.Hangup()
	eventually.True(t, "the caller is out of the room", func() bool { return !there() })
}

// Confirm sends the ACK for the newest answer to an INVITE.
func (s *Socket) Confirm() {
	s.t.Helper()
	s.Send(s.inDialog("ACK", 0))
}

// Hangup ends the call that the newest answer has begun, confirmed or not.
func (s *Socket) Hangup() {
	s.t.Helper()
	s.Send(s.inDialog("BYE", 1))
	for {
		got := s.Answer(Deadline)
		switch cseq := header(s.newest, "CSeq"); {
		case strings.HasSuffix(cseq, " INVITE"): // the answer to it once more, from before the ACK
		case !strings.HasSuffix(cseq, " BYE") || got != "SIP/2.0 200 OK":
			s.t.Fatalf("BYE is answered with %q", s.newest)
		default:
			return
		}
	}
}

// inDialog builds a request within the dialog of the newest answer, with a number that is so much higher.
func (s *Socket) inDialog(method string, after int) string {
	s.t.Helper()
	number, _, _ := strings.Cut(header(s.newest, "CSeq"), " ")
	seq, err := strconv.Atoi(number)
	if err != nil {
		s.t.Fatalf("answer without a number: %q", s.newest)
	}
	_, contact, _ := strings.Cut(header(s.newest, "Contact"), "<")
	contact, _, _ = strings.Cut(contact, ">")
	change := map[string]string{"CSeq": fmt.Sprint(seq+after, " ", method)}
	for _, name := range []string{"Call-ID", "From", "To"} {
		change[name] = header(s.newest, name)
	}
	return s.Request(method, contact, change, "")
}
