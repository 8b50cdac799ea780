package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v3"

	"rendezvous/internal/lab/network"
)

// client is one of a few lines. A watcher receives, over WHEP: it has the feedback of a browser, and next to no work.
type client struct {
	peer *webrtc.PeerConnection
	udp  net.PacketConn
	mux  io.Closer // of udp
}

// newWatcher makes one that is in the room when it returns.
func newWatcher(ctx context.Context, at *network.Link) (*client, error) {
	return newClient(ctx, at, "whep/main", func(peer *webrtc.PeerConnection) error {
		for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
			if _, err := peer.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
				return err
			}
		}
		peer.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			b := make([]byte, 1500)
			for {
				if _, _, err := t.Read(b); err != nil {
					return
				}
			}
		})
		return nil
	})
}

// newClient makes one with the media that are added to it, at the path of the host.
func newClient(ctx context.Context, at *network.Link, path string, add func(*webrtc.PeerConnection) error) (c *client, err error) {
	c = &client{}
	defer func() {
		if err != nil {
			c.close()
			err = fmt.Errorf("client %s: %w", at.Name, err)
		}
	}()
	err = network.Do(at.Namespace(), func() (err error) {
		c.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: at.Addr().AsSlice()})
		return err
	})
	if err != nil {
		return c, err
	}
	var engine webrtc.SettingEngine
	mux := webrtc.NewICEUDPMux(nil, c.udp)
	c.mux = mux
	engine.SetICEUDPMux(mux)
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return c, err
	}
	feedback := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, feedback); err != nil {
		return c, err
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(engine), webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(feedback))
	c.peer, err = api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return c, err
	}
	if err := add(c.peer); err != nil {
		return c, err
	}
	return c, c.join(ctx, at.Namespace(), origin+"/"+path)
}

// join posts an offer (RFC 9725 §4.2) and waits until media come.
func (c *client) join(ctx context.Context, namespace, url string) error {
	connected := make(chan struct{}, 1)
	c.peer.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			select {
			case connected <- struct{}{}:
			default:
			}
		}
	})
	offer, err := c.peer.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(c.peer)
	if err := c.peer.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, kind, addr string) (conn net.Conn, err error) {
			err = network.Do(namespace, func() (err error) {
				conn, err = net.Dial(kind, addr)
				return err
			})
			return conn, err
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(c.peer.LocalDescription().SDP))
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
	if err := c.peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	select {
	case <-connected:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *client) close() {
	if c.peer != nil {
		_ = c.peer.Close() // it leaves by itself if it cannot say so
	}
	if c.mux != nil {
		_ = c.mux.Close() // else it tells in the log that the socket is closed
	}
	if c.udp != nil {
		c.udp.Close()
	}
}
