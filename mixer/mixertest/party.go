package mixertest

import (
	"log/slog"
	"testing"

	"rendezvous/mixer/leg"
)

// The codecs of parties.
var (
	Opus = leg.Codec{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
	H264 = leg.Codec{Name: "H264", PayloadType: 96, ClockRate: 90000}
	VP8  = leg.Codec{Name: "VP8", PayloadType: 97, ClockRate: 90000}
)

// Party is a leg with one sound and one picture. What speaks to its sockets, and where they send to,
// is the test's.
type Party struct {
	Leg          *leg.Leg
	Sound, Video *Sockets

	sessions []*leg.Session
}

// NewParty makes a party that takes Opus, H264 and VP8 and is sent Opus and one of the codecs of pictures.
func NewParty(t testing.TB, video leg.Codec) *Party {
	t.Helper()
	p := &Party{
		Leg:   leg.New(leg.Config{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}),
		Sound: NewSockets(t), Video: NewSockets(t),
	}
	p.attach(t, leg.Audio, p.Sound, 1000, []leg.Codec{Opus}, Opus)
	p.attach(t, leg.Video, p.Video, 1001, []leg.Codec{H264, VP8}, video)
	return p
}

func (p *Party) attach(t testing.TB, kind leg.Kind, sockets *Sockets, ssrc uint32, receive []leg.Codec, send leg.Codec) {
	t.Helper()
	s, err := leg.NewSession(sockets, leg.SessionConfig{Kind: kind, SSRC: ssrc, CNAME: "test", Receive: receive, Send: send})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Leg.Attach(leg.Media{Kind: kind, Transport: s, Receive: receive, Send: send, SSRC: ssrc}); err != nil {
		t.Fatal(err)
	}
	p.sessions = append(p.sessions, s)
}

// Close ends the party, which is in no room any more.
func (p *Party) Close(t testing.TB) {
	t.Helper()
	p.Sound.Close()
	p.Video.Close()
	p.Leg.Close()
	for _, s := range p.sessions {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
