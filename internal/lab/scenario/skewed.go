package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hraban/opus"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"

	"rendezvous/internal/lab/network"
	"rendezvous/internal/sound"
)

// skewed is a sender of the tone, over WHIP, by a clock of its own.
type skewed struct {
	*client
	done chan struct{}
	wg   sync.WaitGroup
}

// newSkewed makes one that sends when it returns. Its clock is fast by so many millionths.
func newSkewed(ctx context.Context, at *network.Link, millionths float64) (*skewed, error) {
	enc, err := opus.NewEncoder(sound.Rate, 1, opus.AppVoIP)
	if err != nil {
		return nil, fmt.Errorf("opening an Opus encoder: %w", err)
	}
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: sound.Rate, Channels: 2}, "audio", "ann")
	if err != nil {
		return nil, err
	}
	s := &skewed{done: make(chan struct{})}
	s.client, err = newClient(ctx, at, "whip/main?name=ann", func(peer *webrtc.PeerConnection) error {
		transceiver, err := peer.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return err
		}
		sender := transceiver.Sender()
		go func() { // RTCP has to be read for NACKs to be answered; ends with the connection
			b := make([]byte, 1500)
			for {
				if _, _, err := sender.Read(b); err != nil {
					return
				}
			}
		}()
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.wg.Go(func() { s.send(enc, track, millionths) })
	return s, nil
}

// send sends until it is stopped, or the connection ends.
func (s *skewed) send(enc *opus.Encoder, track *webrtc.TrackLocalStaticSample, millionths float64) {
	const (
		frame   = 20 * time.Millisecond
		samples = sound.Rate / 50
	)
	pcm := sound.Sine(tone, 0.25, samples, 0) // whole periods: one frame is as the other
	packet := make([]byte, 1500)
	begin := time.Now()
	for n := 0; ; n++ {
		due := time.Duration(float64(n) * float64(frame) / (1 + millionths/1e6))
		select {
		case <-s.done:
			return
		case <-time.After(time.Until(begin.Add(due))):
		}
		k, err := enc.Encode(pcm, packet)
		if err != nil {
			return
		}
		if track.WriteSample(media.Sample{Data: packet[:k], Duration: frame}) != nil {
			return
		}
	}
}

func (s *skewed) stop() {
	close(s.done)
	s.wg.Wait()
	s.close()
}
