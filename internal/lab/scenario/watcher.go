package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/pion/webrtc/v3"

	"rendezvous/internal/lab/network"
)

// watcher is a client that receives, over WHEP: it has the feedback of a browser, and next to no work.
type watcher struct {
	peer *webrtc.PeerConnection
	udp  net.PacketConn
}

// newWatcher makes one that is in the room when it returns.
func newWatcher(ctx context.Context, at *network.Link, url string) (w *watcher, err error) {
	w = &watcher{}
	defer func() {
		if err != nil {
			w.close()
			err = fmt.Errorf("watcher %s: %w", at.Name, err)
		}
	}()
	err = network.Do(at.Namespace(), func() (err error) {
		w.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: at.Addr().AsSlice()})
		return err
	})
	if err != nil {
		return w, err
	}
	var engine webrtc.SettingEngine
	engine.SetICEUDPMux(webrtc.NewICEUDPMux(nil, w.udp))
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return w, err
	}
	w.peer, err = webrtc.NewAPI(webrtc.WithSettingEngine(engine), webrtc.WithMediaEngine(media)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return w, err
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := w.peer.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return w, err
		}
	}
	w.peer.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		b := make([]byte, 1500)
		for {
			if _, _, err := t.Read(b); err != nil {
				return
			}
		}
	})
	return w, w.join(ctx, at.Namespace(), url)
}

// join posts an offer (RFC 9725 §4.2) and waits until media come.
func (w *watcher) join(ctx context.Context, namespace, url string) error {
	connected := make(chan struct{}, 1)
	w.peer.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			select {
			case connected <- struct{}{}:
			default:
			}
		}
	})
	offer, err := w.peer.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(w.peer)
	if err := w.peer.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, kind, addr string) (c net.Conn, err error) {
			err = network.Do(namespace, func() (err error) {
				c, err = net.Dial(kind, addr)
				return err
			})
			return c, err
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(w.peer.LocalDescription().SDP))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/sdp")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, answer)
	}
	if err := w.peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	select {
	case <-connected:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *watcher) close() {
	if w.peer != nil {
		_ = w.peer.Close() // it leaves by itself if it cannot say so
	}
	if w.udp != nil {
		w.udp.Close()
	}
}
