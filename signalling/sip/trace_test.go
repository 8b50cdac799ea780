package sip_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/tracing"
	"rendezvous/internal/tracing/tracingtest"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/sip/siptest"
)

// The steps of a call's set-up are told, and where one ended that came to nothing.
func TestSetupIsTraced(t *testing.T) {
	collector := tracingtest.New(t)
	var tracer *tracing.Tracer
	d := siptest.Open(t, func(c *sip.Config) {
		var err error
		tracer, err = tracing.New(tracing.Config{Endpoint: collector.URL, Log: c.Log})
		require.NoError(t, err)
		c.Tracer = tracer
	})
	d.Call(t, "UDP", "demo") // without sound
	s := d.Socket(t, "UDP")
	s.Send(s.Request("INVITE", "sip:42@127.0.0.1", map[string]string{"From": "<sip:caller@127.0.0.1>;tag=2"}, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 3\r\n"))
	require.Equal(t, "SIP/2.0 488 Not Acceptable Here", s.Answer(siptest.Deadline))

	require.NoError(t, d.Close())
	require.NoError(t, tracer.Close(t.Context()))
	require.ElementsMatch(t, []tracingtest.Trace{
		{Door: "sip", Kind: "in", Room: "demo", Events: []string{"ended without a packet"}, Steps: []string{"invite", "ack", "first packet"}},
		{Door: "sip", Kind: "in", Room: "42", Error: "invite: Not Acceptable Here", Steps: []string{"invite"}},
	}, collector.Traces())
}
