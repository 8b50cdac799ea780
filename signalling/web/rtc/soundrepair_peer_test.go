package rtc

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"

	"rendezvous/mixer/audio"
)

// soundClient is a peer that offers Opus and RED, and repairs nothing by itself.
func soundClient(t *testing.T) (*webrtc.PeerConnection, *webrtc.TrackLocalStaticRTP, *webrtc.RTPSender) {
	t.Helper()
	m := &webrtc.MediaEngine{}
	for _, c := range []webrtc.RTPCodecParameters{
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/opus", ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10",
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "transport-cc"}}}, PayloadType: 111},
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mimeTypeRED, ClockRate: 48000, Channels: 2, SDPFmtpLine: "111/111"}, PayloadType: 63},
	} {
		if err := m.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			t.Fatal(err)
		}
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.DisableSRTPReplayProtection(true) // it has not lost what it says that it has
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(settings))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: "audio/opus", ClockRate: 48000, Channels: 2}, "a", "a")
	if err != nil {
		t.Fatal(err)
	}
	sender, err := pc.AddTrack(track)
	if err != nil {
		t.Fatal(err)
	}
	return pc, track, sender
}

// TestSoundIsRepaired over a connection: what we miss we ask for, and what we are asked for we send again, and repeat from
// then on.
func TestSoundIsRepaired(t *testing.T) {
	p := newTestPeer(t)
	pc, track, sender := soundClient(t)
	connected, received := make(chan struct{}), make(chan *rtp.Packet, 1000)
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(connected)
		}
	})
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			received <- packet
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	offered, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offered); err != nil {
		t.Fatal(err)
	}
	<-gathered
	answer, err := p.Answer(ctx, pc.LocalDescription().SDP)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-connected:
	case <-ctx.Done():
		t.Fatal("no connection")
	}

	stop := make(chan struct{})
	ended := make(chan struct{})
	defer func() { close(stop); <-ended }()
	go func() { // both send sound, the client leaves out each tenth packet
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for seq := uint16(1); ; seq++ {
			if seq%10 != 0 {
				_ = track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * 960}, Payload: []byte{0x78, 1, 2}})
			}
			p.cfg.Leg.Port().WritePacket(audio.Packet{Payload: []byte{0x78, byte(seq)}, Samples: 960}, audio.Format{Codec: "opus"})
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()

	for asked := false; !asked; {
		packets, _, err := sender.ReadRTCP()
		if err != nil || ctx.Err() != nil {
			t.Fatal("we were not asked for what we left out", err)
		}
		for _, r := range packets {
			if n, ok := r.(*rtcp.TransportLayerNack); ok {
				asked = slices.ContainsFunc(n.Nacks, func(p rtcp.NackPair) bool { return p.PacketID%10 == 0 })
			}
		}
	}

	// Each tenth packet of theirs is said to be lost.
	again, repeating := false, false
	seen := make(map[uint16]int)
	for !again || !repeating {
		select {
		case packet := <-received:
			if seen[packet.SequenceNumber]++; seen[packet.SequenceNumber] == 2 {
				again = true
			}
			if repeating = repeating || packet.PayloadType == 63; packet.PayloadType == 63 && packet.Payload[0] != 0x80|111 {
				t.Fatalf("of type 63: %x", packet.Payload)
			}
			if packet.SequenceNumber%10 == 0 && seen[packet.SequenceNumber] == 1 {
				if err := pc.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: packet.SSRC, Nacks: []rtcp.NackPair{{PacketID: packet.SequenceNumber}}}}); err != nil {
					t.Fatal(err)
				}
			}
		case <-ctx.Done():
			t.Fatalf("sent again: %v, repeated: %v", again, repeating)
		}
	}
}
