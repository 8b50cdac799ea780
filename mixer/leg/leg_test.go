package leg

import (
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"rendezvous/mixer/audio"
	"rendezvous/mixer/ladder"
	"rendezvous/mixer/leg/congestion"
)

// Senders are asked for what their tiles need: one alone where each stream has its own path, all
// of a caller together where they share one.
func TestWhatSendersAreAskedFor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		path   *congestion.Controller
		camera int // bit/s
		screen int
	}{
		{"a path each", nil, 300_000, 2_500_000},
		{"one path", controlled(1e6), 2_800_000, 2_800_000},
	} {
		l := New(Config{})
		cam, camera := attach(t, l, Media{Kind: Video, Receive: []Codec{h264}, Send: h264, SSRC: 1, Congestion: tt.path})
		scr, screen := attach(t, l, Media{Kind: Video, Label: "screen", Receive: []Codec{h264}, SSRC: 2})
		l.Port().Enter(testRungs, nil)
		cam.SetShown(320, 180)
		scr.SetShown(1280, 720)
		p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 5}, Payload: []byte{0x41, 0, 0}}
		cam.picture.push(&h264, &p, time.Unix(1000, 0))
		scr.picture.push(&h264, &p, time.Unix(1000, 0))
		if keys, bitrate := camera.requests(); keys != 1 || bitrate != tt.camera {
			t.Errorf("%s: the camera is asked for %d key frames and %d bit/s, want 1 and %d", tt.name, keys, bitrate, tt.camera)
		}
		if _, bitrate := screen.requests(); bitrate != tt.screen {
			t.Errorf("%s: the screen is asked for %d bit/s, want %d", tt.name, bitrate, tt.screen)
		}
		camera.close()
		screen.close()
		l.Close()
	}
}

// Streams and leg are closed by two goroutines at once, while packets flow both ways and the
// direction changes.
func TestCloseWhileBusy(t *testing.T) {
	for range 20 {
		l := New(Config{})
		vs, video := attach(t, l, Media{Kind: Video, Receive: []Codec{vp8}, Send: h264, SSRC: 1})
		as, sound := attach(t, l, Media{Kind: Audio, Receive: []Codec{pcmu}, Send: pcmu, SSRC: 2})
		l.Port().Enter(testRungs, nil)
		stop := make(chan struct{})
		var busy sync.WaitGroup
		repeat := func(work func(i uint16)) {
			busy.Go(func() {
				for i := uint16(0); ; i++ {
					select {
					case <-stop:
						return
					default:
						work(i)
					}
				}
			})
		}
		feed := func(f *fake, pt uint8, size int) func(uint16) {
			return func(i uint16) {
				p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: pt, SequenceNumber: i, Timestamp: uint32(i) * 160, Marker: true},
					Payload: make([]byte, size)}
				raw, err := p.Marshal()
				if err != nil {
					t.Error(err)
				}
				select {
				case f.rtp <- raw:
				case <-f.closed:
				}
			}
		}
		repeat(feed(video, 97, 40))
		repeat(feed(sound, 0, 160))
		repeat(func(i uint16) {
			var f audio.Frame
			l.Port().ReadFrame(&f)
			l.Port().ReadPrivate(&f)
			l.Port().WritePacket(audio.Packet{Payload: f0, Samples: audio.FrameSamples}, l.Port().Format())
		})
		repeat(func(i uint16) {
			l.Port().Watching(nil)
			l.Port().WriteUnit(unit(ladder.H264, 0, i%30 == 0, uint32(i)*3000, 2))
			if p, _ := vs.Picture(); p != nil {
				p.Release()
			}
			vs.SetShown(int(i%2)*100, 100)
		})
		repeat(func(i uint16) {
			as.Update(nil, Codec{})
			vs.Update(nil, vp8)
			vs.Update([]Codec{vp8}, h264)
			as.Update([]Codec{pcmu}, pcmu)
			<-l.Play(nil)
			l.Play(make([]int16, 500))
		})
		time.Sleep(5 * time.Millisecond) // of that
		video.close()
		sound.close()
		var closers sync.WaitGroup
		closers.Go(vs.Close)
		closers.Go(l.Close)
		closers.Go(l.Close)
		closers.Go(as.Close)
		closers.Wait()
		close(stop)
		busy.Wait()
		if n := len(l.Streams(nil)); n != 0 {
			t.Errorf("%d streams of a closed leg", n)
		}
	}
}

var f0 = make([]byte, 160)

// Who only listens has nothing to receive sound with, until they may speak.
func TestListenersReceiveNoSound(t *testing.T) {
	l := New(Config{})
	s, out := attach(t, l, Media{Kind: Audio, Send: opus})
	require.Nil(t, s.sound.Load())
	require.False(t, l.Port().ReadFrame(&audio.Frame{}))
	s.receive(&rtp.Packet{}, sound(1), time.Now()) // is passed over
	s.Update([]Codec{opus}, opus)
	require.NotNil(t, s.sound.Load())
	require.Same(t, s.sound.Load(), l.sound.Load())
	for i := range uint16(20) {
		s.receive(&rtp.Packet{}, sound(i), time.Now())
	}
	require.True(t, l.Port().ReadFrame(&audio.Frame{}))
	out.close()
	l.Close()
	s.Update(nil, opus)
	s.Update([]Codec{opus}, opus) // is nothing any more
}

// sound is a packet of Opus.
func sound(seq uint16) []byte {
	return append([]byte{0x80, 111, byte(seq >> 8), byte(seq), 0, 0, byte(uint32(seq) * 960 >> 8), byte(uint32(seq) * 960), 0, 0, 0, 9}, 0x78, 0xff, 0xfe)
}
