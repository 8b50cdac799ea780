package web_test

import (
	"testing"
	"time"

	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
	"rendezvous/internal/eventually"
	"rendezvous/internal/tracing"
	"rendezvous/internal/tracing/tracingtest"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/webtest"
)

// The steps of a call's set-up are told, up to its first packet, and where one ended that came to nothing.
func TestSetupIsTraced(t *testing.T) {
	collector := tracingtest.New(t)
	var tracer *tracing.Tracer
	h := webtest.Open(t, []settings.Room{{ID: "lab"}, {ID: "safe", PIN: "1234"}}, func(c *web.Config) {
		var err error
		tracer, err = tracing.New(tracing.Config{Endpoint: collector.URL, Log: c.Log})
		require.NoError(t, err)
		c.Tracer = tracer
	})
	sdp := map[string]string{"Content-Type": "application/sdp"}
	r, _ := webtest.Do(t, "POST", h.Door.URL()+"/whip/safe", offerWithoutICE, sdp)
	require.Equal(t, 401, r.StatusCode)

	engine := webrtc.SettingEngine{}
	engine.SetIncludeLoopbackCandidate(true)
	engine.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	codecs := &webrtc.MediaEngine{}
	require.NoError(t, codecs.RegisterDefaultCodecs())
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(codecs), webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	defer func() { require.NoError(t, pc.GracefulClose()) }()
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "x")
	require.NoError(t, err)
	_, err = pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(pc)
	offer, err := pc.CreateOffer(nil)
	require.NoError(t, err)
	require.NoError(t, pc.SetLocalDescription(offer))
	<-gathered
	r, answer := webtest.Do(t, "POST", h.Door.URL()+"/whip/lab", pc.LocalDescription().SDP, sdp)
	require.Equal(t, 201, r.StatusCode, answer)
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))

	want := []tracingtest.Trace{
		{Door: "web", Kind: "whip", Room: "safe", Steps: []string{"join"}},
		{Door: "web", Kind: "whip", Room: "lab", Of: "audio", Steps: []string{"join", "offer", "ice", "dtls", "first packet"}},
	}
	eventually.True(t, "the call is set up", func() bool {
		require.NoError(t, track.WriteSample(media.Sample{Data: []byte{0xf8, 0xff, 0xfe}, Duration: 20 * time.Millisecond})) // silence
		require.NoError(t, tracer.Flush(t.Context()))
		return len(collector.Traces()) == len(want)
	})
	got := collector.Traces()
	want[0].Error = got[0].Error // the room's own words
	if len(got[1].Events) > 0 {  // the first packet may come before pion has said that the connection is up
		want[1].Events = []string{"first packet"}
	}
	require.Equal(t, want, got)
	require.Regexp(t, `^join: .*PIN`, got[0].Error)
	require.NoError(t, tracer.Close(t.Context()))
}
