package call

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/pion/ice/v2"
	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/conference"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/sdp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jamidOffer is an INVITE's body as the Debian 12 daemon writes it.
const jamidOffer = `v=0
o=vm 4004410956 0 IN IP4 10.77.0.12
s=Call ID 3384860358420465
c=IN IP4 10.77.0.12
t=0 0
a=ice-ufrag:1d931c7f
a=ice-pwd:6a11dc01319c3896245b0ca0
m=audio 23166 RTP/SAVP 104 101
a=rtpmap:104 opus/48000/2
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:23167 IN IP4 10.77.0.12
a=sendrecv
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:piWjoFUMvGLG9N32VQiH98cG7QGJbHnaLykyuq3K
a=candidate:Ha4d000c 1 UDP 2130706431 10.77.0.12 36671 typ host
a=candidate:Sa4d000c 1 UDP 1694498303 10.77.0.12 21629 typ srflx
a=candidate:Ha4d000c 2 UDP 2130706430 10.77.0.12 34372 typ host
m=video 54778 RTP/SAVP 96 97
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=428029
a=rtpmap:97 VP8/90000
a=rtcp:54779 IN IP4 10.77.0.12
a=recvonly
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:7XWYAnv7ooO1RM2atkMwP2+7mpipZAn+BKzD5jlh
a=candidate:Ha4d000c 3 UDP 2130706429 10.77.0.12 57929 typ host
a=candidate:Ha4d000c 4 UDP 2130706428 10.77.0.12 41061 typ host
`

func TestParseDescription(t *testing.T) {
	d, err := parseDescription([]byte(strings.ReplaceAll(jamidOffer, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if d.remote.ufrag != "1d931c7f" || d.remote.pwd != "6a11dc01319c3896245b0ca0" {
		t.Errorf("ICE credentials %q %q", d.remote.ufrag, d.remote.pwd)
	}
	if len(d.Media) != 2 || !slices.Equal(d.first, []int{1, 3}) {
		t.Fatalf("%d media, components %v", len(d.Media), d.first)
	}
	p, err := (&Call{}).plan(d)
	if err != nil {
		t.Fatal(err)
	}
	a, v := p.media[0], p.media[1]
	if a.Kind != leg.Audio || a.Direction != sdp.SendRecv || !a.RemoteKey.Present() {
		t.Errorf("audio %+v", a)
	}
	if v.Kind != leg.Video || v.Direction != sdp.SendOnly || v.Receive != nil {
		t.Errorf("video %+v", v)
	}
	if c, event := a.Offered[0], a.Offered[1]; c.Name != "opus" || c.PayloadType != 104 || c.Channels != 2 || event.PayloadType != 101 {
		t.Errorf("audio codec %+v, event %+v", c, event)
	}
	if c := v.Send; c.Name != "H264" || c.PayloadType != 96 {
		t.Errorf("video codec %+v", c)
	}
	for id, n := range map[int]int{1: 2, 2: 1, 3: 1, 4: 1} {
		if got := len(d.remote.candidates[id]); got != n {
			t.Errorf("component %d has %d candidates, want %d", id, got, n)
		}
	}
}

// What we write, we and pjsip's rules can read: every line of an offer answered in order, an
// explicit direction, one codec beside the events.
func TestAnswerFollowsOffer(t *testing.T) {
	offer := strings.ReplaceAll(jamidOffer, "\n", "\r\n") + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
	d, err := parseDescription([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	c := &Call{sdpName: "Call ID 1", origin: d.Origin.ID, version: d.Origin.Version}
	p, err := c.plan(d)
	if err != nil {
		t.Fatal(err)
	}
	local, err := ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: "10.77.0.3", Port: 4000, Component: 1})
	if err != nil {
		t.Fatal(err)
	}
	session := &iceSession{ufrag: "u", pwd: "p", components: []*iceComponent{{id: 1, local: []ice.Candidate{local}}}}
	answer := string(c.describe(&p, session))
	for _, want := range []string{
		"o=rendezvous 4004410956 1 IN IP4 10.77.0.3\r\n", "a=ice-ufrag:u\r\n",
		" RTP/SAVP 104 101\r\n", "a=sendrecv\r\n", "a=rtpmap:104 opus/48000/2\r\n",
		" RTP/SAVP 96\r\n", "a=sendonly\r\n", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n",
	} {
		if !strings.Contains(answer, want) {
			t.Errorf("the answer has no %q:\n%s", want, answer)
		}
	}
	if strings.Contains(answer, "VP8") {
		t.Errorf("the answer has two video codecs:\n%s", answer)
	}
	if _, err := parseDescription([]byte(answer)); err != nil {
		t.Errorf("our answer cannot be read: %v", err)
	}
}

// A device that holds the call says that it sends video, and sends none.
func TestHeldVideoIsNotWaitedFor(t *testing.T) {
	d, err := parseDescription([]byte(strings.ReplaceAll(strings.ReplaceAll(jamidOffer, "recvonly", "sendonly"), "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&Call{}).plan(d)
	if err != nil {
		t.Fatal(err)
	}
	if v := p.media[1]; v.Receive != nil || v.Send.Name != "" || v.Direction != sdp.RecvOnly {
		t.Errorf("%+v", v)
	}
}

func TestControl(t *testing.T) {
	tests := []struct {
		body string
		want Control
	}{
		{`<?xml version="1.0" encoding="utf-8" ?><media_control><vc_primitive> <stream_id>1</stream_id><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>`,
			Control{KeyFrame, 1, 0}},
		{`<?xml version="1.0" encoding="utf-8" ?><media_control><vc_primitive><to_encoder><device_orientation=-90/></to_encoder><stream_id>1</stream_id></vc_primitive></media_control>`,
			Control{Orientation, 1, 90}},
		{`<?xml version="1.0" encoding="utf-8" ?><media_control><vc_primitive><to_encoder><mute_state=1/></to_encoder></vc_primitive></media_control>`,
			Control{MuteState, -1, 1}},
		{`<?xml version="1.0" encoding="utf-8" ?><media_control><vc_primitive><to_encoder><recording_state=0/></to_encoder></vc_primitive></media_control>`,
			Control{RecordingState, -1, 0}},
	}
	for _, tt := range tests {
		got, ok := ParseControl(tt.body)
		if !ok || got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.body, got, tt.want)
		}
		if s := tt.want.String(); s != tt.body {
			t.Errorf("written %s\nwant    %s", s, tt.body)
		}
	}
}

// testInfo is a room with two Jami callers and one from a browser.
func testInfo() *conference.Info {
	hand := time.Unix(1, 0)
	return &conference.Info{Room: "r", Width: 1280, Height: 720, Participants: []conference.Participant{
		{ID: "p1", Name: "Ann", Door: "jami", Identity: "jami:" + strings.Repeat("a", 40), Device: strings.Repeat("1", 64), Session: "11",
			Role: moderation.Moderator, Streams: []conference.Stream{{Label: "main", Video: true}}},
		{ID: "p2", Name: "Ben", Door: "jami", Identity: "jami:" + strings.Repeat("b", 40), Device: strings.Repeat("2", 64), Session: "22",
			Streams: []conference.Stream{{Label: "main", Video: true}, {Label: "screen", Video: true}}},
		{ID: "p3", Name: "Carl", Door: "web", Identity: "web:x", Hand: &hand},
	}}
}

// The numbers of layouts on the wire are Jami's, and stay.
func TestLayoutNumbers(t *testing.T) {
	for n, layout := range []moderation.Layout{moderation.LayoutGrid, moderation.LayoutOneBigWithSmall, moderation.LayoutOneBig} {
		orders, err := ParseOrders(fmt.Appendf(nil, `{"layout":%d}`, n), testInfo(), "p1")
		if want := []moderation.Order{{Action: moderation.SetLayout, Text: string(layout)}}; err != nil || !reflect.DeepEqual(orders, want) {
			t.Errorf("%d is %v, %v", n, orders, err)
		}
		if got := jamiLayout(&conference.Info{Layout: layout}); got != n {
			t.Errorf("%s has number %d, not %d", layout, got, n)
		}
	}
	if got := jamiLayout(&conference.Info{Layout: moderation.LayoutSideBySide}); got != 1 {
		t.Errorf("what Jami lacks is shown as %d", got)
	}
	auto := testInfo()
	auto.Layout = moderation.LayoutAuto
	if got := jamiLayout(auto); got != 0 {
		t.Errorf("an automatic grid has number %d", got)
	}
	auto.Participants[1].Streams[1].Active = true
	if got := jamiLayout(auto); got != 1 {
		t.Errorf("an automatic layout with a large screen has number %d", got)
	}
	for _, none := range []string{`{"layout":3}`, `{"layout":-1}`, `{"layout":"grid"}`} {
		if orders, err := ParseOrders([]byte(none), testInfo(), "p1"); err != nil || len(orders) != 0 {
			t.Errorf("%s is %v, %v", none, orders, err)
		}
	}
}

func TestParseOrders(t *testing.T) {
	a, b, d2 := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("2", 64)
	tests := []struct {
		name, body string
		want       []moderation.Order
	}{
		{"layout", `{"layout":1}`, []moderation.Order{{Action: moderation.SetLayout, Text: "one-big-with-small"}}},
		{"active, both levels", `{"` + b + `":{"devices":{"` + d2 + `":{"medias":{"22_video_1":{"active":true}}}},"medias":{"22_video_1":{"active":true}}},"version":1}`,
			[]moderation.Order{{Action: moderation.Pin, Target: "p2", Media: "screen", On: true}}},
		{"mute", `{"` + b + `":{"devices":{"` + d2 + `":{"medias":{"22_video_0":{"muteAudio":true}}}}},"version":1}`,
			[]moderation.Order{{Action: moderation.Mute, Target: "p2", Media: "audio", On: true}}},
		{"hand", `{"` + a + `":{"devices":{"` + strings.Repeat("1", 64) + `":{"raiseHand":true}},"raiseHand":true},"version":1}`,
			[]moderation.Order{{Action: moderation.Hand, Target: "p1", On: true}}},
		{"hang up, string", `{"` + b + `":{"devices":{"` + d2 + `":{"hangup":"true"}},"hangup":"true"},"version":1}`,
			[]moderation.Order{{Action: moderation.Remove, Target: "p2"}}},
		{"version 0 mute", `{"muteParticipant":"` + b + `","muteState":"true"}`,
			[]moderation.Order{{Action: moderation.Mute, Target: "p2", On: true}}},
		{"version 0 about a browser", `{"hangupParticipant":"Carl@web"}`, []moderation.Order{{Action: moderation.Remove, Target: "p3"}}},
		{"nobody active", `{"activeParticipant":""}`, []moderation.Order{{Action: moderation.Pin, Media: "video"}}},
		{"somebody who is gone", `{"muteParticipant":"` + strings.Repeat("c", 40) + `","muteState":"true"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseOrders([]byte(tt.body), testInfo(), "p1")
			if err != nil {
				t.Fatal(err)
			}
			x, _ := json.Marshal(got)
			y, _ := json.Marshal(tt.want)
			if !bytes.Equal(x, y) {
				t.Errorf("%s\nwant %s", x, y)
			}
		})
	}
	if _, err := ParseOrders([]byte(`{"version":2}`), testInfo(), "p1"); err == nil {
		t.Error("an order of an unknown version was taken")
	}
}

func TestConferenceInfo(t *testing.T) {
	b, err := ConferenceInfo(testInfo(), "", image.Point{})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ P []confEntry }
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	var sinks []string
	for _, e := range got.P {
		sinks = append(sinks, e.SinkID)
	}
	if s := strings.Join(sinks, " "); s != "p3_audio_0 11_video_0 22_video_0 22_video_1" {
		t.Errorf("entries %s", s)
	}
	if !got.P[0].HandRaised || !got.P[1].IsModerator || got.P[0].URI != "Carl@web" || got.P[1].URI != strings.Repeat("a", 40)+"@ring.dht" {
		t.Errorf("%s", b)
	}
}

func TestRembCodeWords(t *testing.T) {
	tr := &transport{estimate: 1_000_000}
	for _, step := range []struct {
		code uint32
		want float32
	}{{codeIncrease, 1_050_000}, {codeDecrease, 892_500}, {1, 892_500}, {codeIncrease, 937_125}, {codeIncrease, 983_981}, {codeIncrease, 1_549_770}, {codeDecrease, 1_317_304}} {
		packets, err := rtcp.Unmarshal(rembPacket(step.code))
		require.NoError(t, err)
		r := packets[0].(*rtcp.ReceiverEstimatedMaximumBitrate)
		tr.heed(r)
		require.Equal(t, step.want, r.Bitrate, "%x", step.code)
	}
	bitrate := &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 500_000}
	tr.heed(bitrate)
	require.EqualValues(t, 500_000, bitrate.Bitrate, "no code word")
	want := []byte{0x8f, 0xce, 0, 5, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0x52, 0x45, 0x4d, 0x42, 1, 0, 0x73, 0x78, 0x23, 0x45, 0x67, 0x8b}
	if b := rembPacket(codeIncrease); !bytes.Equal(b, want) {
		t.Errorf("% x", b)
	}
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(jamidOffer, "\n", "\r\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDescription(b)
		if err != nil {
			return
		}
		p, err := (&Call{cfg: Config{H265: true}}).plan(d)
		if err != nil {
			return
		}
		if len(p.media) != len(d.Media) || len(p.first) != len(d.Media) || len(d.Media) > maxMedia {
			t.Fatalf("%d media of an answer to %d", len(p.media), len(d.Media))
		}
		used := make(map[int]bool)
		for _, id := range p.components() {
			if used[id] || id < 1 {
				t.Fatalf("component %d is of two media", id)
			}
			used[id] = true
		}
		for i, m := range p.media {
			if m.Active && (len(m.Crypto) != 1 || m.Crypto[0].Suite != m.RemoteKey.Suite || m.Mux) {
				t.Fatalf("medium %d: %+v", i, m)
			}
		}
	})
}

func FuzzOrders(f *testing.F) {
	f.Add([]byte(`{"layout":1}`))
	f.Add([]byte(`{"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb":{"devices":{"2":{"medias":{"22_video_0":{"active":true}}}}},"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		orders, err := ParseOrders(b, testInfo(), "p1")
		if err == nil && len(orders) > len(b) {
			t.Fatalf("%d orders from %d bytes", len(orders), len(b))
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Add(`<media_control><to_encoder><device_orientation=-90/>`)
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := ParseControl(s); ok && c.Primitive == Orientation && (c.Value <= -180 || c.Value > 180) {
			t.Fatalf("orientation %d", c.Value)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, seed := range []string{"Signal=5\r\nDuration=250\r\n", "Signal=*", "signal= 11", "Signal=16\r\n", "=", "Signal"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if key, ok := parseKey(body); ok && !strings.ContainsRune("0123456789*#ABCD", key) {
			t.Errorf("%q is read as %q", body, key)
		}
	})
}

func FuzzTexts(f *testing.F) {
	f.Add("text/plain", []byte("hello"))
	f.Add("multipart/mixed;boundary=x", []byte("--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\nContent-Type: a/b\r\n\r\nc\r\n--x--\r\n"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := sip.NewRequest(sip.MESSAGE, sip.Uri{})
		header := sip.ContentTypeHeader(kind)
		r.AppendHeader(&header)
		r.SetBody(body)
		texts := textsOf(r)
		if len(texts) > maxParts || len(strings.Join(texts, "")) > len(body) {
			t.Fatalf("%d texts of %d bytes: %q", len(texts), len(body), texts)
		}
	})
}
