package rtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/interceptor"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v3"

	"rendezvous/internal/anyaddr"
	"rendezvous/internal/connlimit"
	"rendezvous/mixer/leg/congestion"
	"rendezvous/signalling/stunguard"
)

// Config says where media is received, and what is offered. Zero rates mean the defaults.
type Config struct {
	Log *slog.Logger

	// UDPAddr is where all peers' media arrives, "host:port". With an empty or
	// unspecified host, every address of the machine is offered, each on this port;
	// port 0 takes any. Empty: no UDP.
	UDPAddr string
	// TCPAddr is the same for ICE over TCP (RFC 6544), for callers whose network lets no
	// UDP out. Empty: no TCP.
	TCPAddr string
	// Connections bounds those by TCP; nil: nothing does.
	Connections *connlimit.Limiter
	// PublicIPs are put in the place of the machine's own addresses, where a 1:1 NAT
	// hides it.
	PublicIPs []string
	// Loopback also offers 127.0.0.1, for browsers on this machine. pion has no ::1.
	Loopback bool

	// VideoCodecs are the codecs on offer, preferred first: "H264", "VP8".
	VideoCodecs []string

	// Bounds of the congestion controller's estimate, in bit/s.
	InitialBitrate, MinBitrate, MaxBitrate int

	// Malformed is called for each STUN message that is dropped because it is not well-formed; may be nil.
	Malformed func()
}

const (
	initialBitrate = 1_200_000
	minBitrate     = 60_000
	maxBitrate     = 8_000_000

	// The kernel's buffers of the one UDP socket that all media shares.
	udpBuffer = 4 << 20

	// Checks go out when nothing has come for iceKeepAlive, so that three get lost before a path counts as such. It
	// is failed for good long after: until then, an outage is over when packets get through again.
	iceDisconnected = 3 * time.Second
	iceFailed       = 27 * time.Second
	iceKeepAlive    = time.Second

	// How often a peer is told what has come of what it sends: the sooner it knows that its path is too narrow, the less
	// stands in a queue.
	feedbackEvery = 50 * time.Millisecond
)

// levelURI is the client-to-mixer audio level (RFC 6464).
const levelURI = sdp.AudioLevelURI

// Engine makes Peers that share ports and settings.
type Engine struct {
	cfg      Config
	settings webrtc.SettingEngine
	udp      *mux
	tcp      ice.TCPMux
	clock    *clock // nil until the ports are open
}

// NewEngine opens the ports. It fails if one cannot be had, and for a codec that is not H264
// or VP8; nothing is left open then.
func NewEngine(cfg Config) (*Engine, error) {
	if len(cfg.VideoCodecs) == 0 {
		cfg.VideoCodecs = []string{"H264", "VP8"}
	}
	for _, name := range cfg.VideoCodecs {
		if name != "H264" && name != "VP8" {
			return nil, fmt.Errorf("video codec %q is not known; H264 and VP8 are", name)
		}
	}
	cfg.InitialBitrate = orDefault(cfg.InitialBitrate, initialBitrate)
	cfg.MinBitrate = orDefault(cfg.MinBitrate, minBitrate)
	cfg.MaxBitrate = orDefault(cfg.MaxBitrate, maxBitrate)

	e := &Engine{cfg: cfg}
	logs := logFactory{cfg.Log}
	e.settings.LoggerFactory = logs
	e.settings.SetICETimeouts(iceDisconnected, iceFailed, iceKeepAlive)
	// A browser's ".local" candidates are of no use: it reaches us, not we it.
	e.settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.settings.DisableActiveTCP(true)
	if len(cfg.PublicIPs) > 0 {
		e.settings.SetNAT1To1IPs(cfg.PublicIPs, webrtc.ICECandidateTypeHost)
	}

	var networks []webrtc.NetworkType
	guard := &stunguard.Guard{OnDrop: cfg.Malformed}
	guarded, err := guard.Net()
	if err != nil {
		return nil, err
	}
	e.settings.SetNet(guarded)
	if cfg.UDPAddr != "" {
		addr, err := net.ResolveUDPAddr("udp", cfg.UDPAddr)
		if err == nil {
			e.udp, err = listenUDP(addr, cfg.Loopback, cfg.Log, cfg.Malformed)
		}
		if err != nil {
			return nil, fmt.Errorf("listening for media on UDP %s: %w", cfg.UDPAddr, err)
		}
		networks = append(networks, webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6)
	}
	if cfg.TCPAddr != "" {
		l, err := anyaddr.Listen(context.Background(), cfg.TCPAddr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening for media on TCP %s: %w", cfg.TCPAddr, err), e.Close())
		}
		if cfg.Connections != nil {
			l = cfg.Connections.Listener(l)
		}
		e.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Listener: guard.Listener(l), Logger: logs.NewLogger("ice-tcp"), ReadBufferSize: 64, WriteBufferSize: 1 << 20,
			FirstStunBindTimeout: 10 * time.Second,
		})
		e.settings.SetICETCPMux(e.tcp)
		networks = append(networks, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	if len(networks) == 0 {
		return nil, errors.New("neither a UDP nor a TCP address for media is set")
	}
	e.settings.SetNetworkTypes(networks)
	e.clock = newClock()
	return e, nil
}

// Close closes the ports. The peers are closed before.
func (e *Engine) Close() error {
	if e.clock != nil {
		e.clock.close()
	}
	var errs []error
	if e.udp != nil {
		errs = append(errs, e.udp.Close())
	}
	if e.tcp != nil {
		errs = append(errs, e.tcp.Close())
	}
	return errors.Join(errs...)
}

// connection makes one RTCPeerConnection with a control, and a congestion controller, of its own, for a peer whose
// signalling comes from that address. Sender reports, what is asked of the
// peer, and what is sent again are the leg's.
func (e *Engine) connection(log *slog.Logger, peer netip.Addr) (*webrtc.PeerConnection, *control, error) {
	media, err := e.mediaEngine()
	if err != nil {
		return nil, nil, err
	}
	control := newControl(congestion.New(congestion.Config{Initial: e.cfg.InitialBitrate, Min: e.cfg.MinBitrate, Max: e.cfg.MaxBitrate, Log: log}), e.clock)
	chain := &interceptor.Registry{}
	chain.Add(control)
	settings := e.settings
	settings.BufferFactory = control.buffer
	if e.udp != nil {
		settings.SetICEUDPMux(e.udp.of(peer))
	}
	settings.SetIncludeLoopbackCandidate(e.cfg.Loopback && mayBeHere(peer)) // of TCP
	api := webrtc.NewAPI(
		webrtc.WithMediaEngine(media),
		webrtc.WithInterceptorRegistry(chain),
		webrtc.WithSettingEngine(settings),
	)
	pc, err := api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		return nil, nil, fmt.Errorf("making a peer connection: %w", err)
	}
	return pc, control, nil
}

// mediaEngine lists the codecs and header extensions on offer. Retransmissions go on the
// media's own SSRC: pion v3 does not send RTX (RFC 4588), and hands on what has come by RTX only with the
// next packet of the media, later than the same packet on the media's SSRC.
func (e *Engine) mediaEngine() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	transportCC := webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}
	videoFeedback := []webrtc.RTCPFeedback{
		{Type: webrtc.TypeRTCPFBGoogREMB}, transportCC,
		{Type: webrtc.TypeRTCPFBCCM, Parameter: "fir"},
		{Type: webrtc.TypeRTCPFBNACK}, {Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"},
	}
	// Without parameters both match whatever the offer has: pion would drop what matches in part for the other's sake.
	codecs := []webrtc.RTPCodecParameters{{
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
			RTCPFeedback: []webrtc.RTCPFeedback{transportCC},
		},
		PayloadType: 111,
	}, {
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mimeTypeRED, ClockRate: 48000, Channels: 2},
		PayloadType:        63,
	}}
	for _, name := range e.cfg.VideoCodecs {
		switch name {
		case "H264":
			codecs = append(codecs, webrtc.RTPCodecParameters{
				RTPCodecCapability: webrtc.RTPCodecCapability{
					MimeType: webrtc.MimeTypeH264, ClockRate: 90000, RTCPFeedback: videoFeedback,
					SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
				},
				PayloadType: 108,
			})
		case "VP8":
			codecs = append(codecs, webrtc.RTPCodecParameters{
				RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: videoFeedback},
				PayloadType:        96,
			})
		}
	}
	for _, c := range codecs {
		kind := webrtc.RTPCodecTypeVideo
		if c.MimeType == webrtc.MimeTypeOpus || c.MimeType == mimeTypeRED {
			kind = webrtc.RTPCodecTypeAudio
		}
		if err := m.RegisterCodec(c, kind); err != nil {
			return nil, fmt.Errorf("registering %s: %w", c.MimeType, err)
		}
	}
	for _, x := range []struct {
		uri  string
		kind webrtc.RTPCodecType
	}{
		{sdp.TransportCCURI, webrtc.RTPCodecTypeAudio},
		{sdp.TransportCCURI, webrtc.RTPCodecTypeVideo},
		{levelURI, webrtc.RTPCodecTypeAudio},
	} {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: x.uri}, x.kind); err != nil {
			return nil, fmt.Errorf("registering header extension %s: %w", x.uri, err)
		}
	}
	return m, nil
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}
