package web

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
	"rendezvous/internal/tracing"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/links"
)

// Config are the parameters of the door. The zero value of a field means its default.
type Config struct {
	Log        *slog.Logger
	Host       *conference.Host
	LegMetrics *leg.Metrics
	Registerer prometheus.Registerer // nil: no metrics
	Tracer     *tracing.Tracer       // of calls' set-ups; nil: nothing is traced

	// Listen is the address of the HTTP server, "host:port". Default ":8080".
	Listen string
	// PublicURL is where people find the host, for links and as an allowed origin:
	// "https://meet.example.org". Default: made from Listen.
	PublicURL string
	// TLS are the settings that the page is served with; nil: plain HTTP.
	TLS *tls.Config
	// Names are the host names that the certificate is for, the first of which people are given without a PublicURL.
	Names []string
	// Redirect is the address of a plain HTTP server, ":80", that sends people on to the page; "": none. It wants TLS.
	Redirect string
	// Challenges answers a certificate authority on that server and leaves other requests to next; nil: it has nothing to answer.
	Challenges func(next http.Handler) http.Handler
	// InsecureHTTP serves plain HTTP on other addresses than loopback too, for a host behind
	// a proxy that does TLS. Without it, and without TLS, an unspecified Listen host means loopback.
	InsecureHTTP bool
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// AllowedOrigins are further origins whose pages may use the signalling, WHIP, WHEP and
	// the control API: "https://intranet.example.org". The host's own always may.
	AllowedOrigins []string
	// Embed are the origins whose pages may show the page in a frame, and talk to it there; none: no page may.
	Embed []string

	// ICEServers are handed out to browsers, WHIP and WHEP clients.
	ICEServers []ICEServer
	// MediaUDP is the one UDP address of all media. Default: Listen's port, all addresses; with MediaTCP, none.
	MediaUDP string
	// MediaTCP is the address of ICE over TCP, "" for none.
	MediaTCP string
	// PublicIPs stand in for the machine's own addresses behind a 1:1 NAT.
	PublicIPs []string
	// NoLoopbackMedia leaves 127.0.0.1 out of the ICE candidates.
	NoLoopbackMedia bool
	// VideoCodecs on offer, preferred first. Default H264, VP8.
	VideoCodecs []string

	// JoinSecret signs join tokens (see JoinToken); empty: none are taken.
	JoinSecret []byte
	// Links are those that were made here, and can be revoked; nil: none are made or taken.
	Links *links.Book
	// Tokens open the control API; none: the API is closed.
	Tokens []control.Token

	// MaxBody bounds the body of any request, in bytes. Default 64 KiB.
	MaxBody int64
	// MaxMessage bounds a signalling message, in bytes. Default 64 KiB.
	MaxMessage int64
	// MaxSessions bounds the callers of this door. Default 2000.
	MaxSessions int
	// MaxSessionsOfNetwork bounds those of one address (IPv6: its /64). Default 500.
	MaxSessionsOfNetwork int
	// MaxConnections bounds the open connections by HTTP, WebSockets among them, and as many more of media over TCP.
	// Default 16000. Those beyond are closed at once.
	MaxConnections int
	// MaxConnectionsOfNetwork bounds those of one address (IPv6: its /64), unless it is a trusted proxy's. Default 4000:
	// four for each of a thousand people in one office.
	MaxConnectionsOfNetwork int
	// MaxUnjoined bounds the WebSockets that have not joined, or resumed, yet. Default 4000. Others are answered 503.
	MaxUnjoined int
	// MaxUnjoinedOfNetwork bounds those of one address (IPv6: its /64), behind a trusted proxy the one that it tells.
	// Default 1000: an office may come back all at once.
	MaxUnjoinedOfNetwork int
	// ResumeWithin is how long a caller stays in the room without their page's WebSocket.
	// Default 30 s.
	ResumeWithin time.Duration
	// MediaWithin is how long they stay without a media connection. Default 30 s.
	MediaWithin time.Duration
	// PINAttempts is how many wrong PINs an address may give in a row; then one more
	// each PINRefill. Defaults 8 and 10 s.
	PINAttempts int
	PINRefill   time.Duration

	// RecordingsRole is the least role that may list, play and download recordings from the
	// page; nil: moderation.Speaker, the ordinary participant, in rooms with a PIN, and moderation.Moderator in
	// those that anybody comes into.
	RecordingsRole *moderation.Role

	// Recordings is the catalogue that the page and the control API show; nil: none.
	Recordings Recordings
	// Events are what programs follow by the control API; nil: they cannot.
	Events *control.Feed
	// Contacts are what the rooms' accounts on another network know of others; nil: there are none.
	Contacts control.Contacts
}

// ICEServer is a STUN or TURN server for clients to use.
type ICEServer struct {
	URLs       []string // "stun:stun.example.org", "turn:turn.example.org?transport=udp"
	Username   string
	Credential string
	// Secret makes short-lived credentials (TURN REST API: HMAC-SHA1 of an expiry time)
	// in the place of a fixed Username and Credential.
	Secret string
}

const (
	defaultListen      = ":8080"
	defaultMaxBody     = 64 << 10
	defaultMaxMessage  = 64 << 10
	defaultMaxSessions = 2000
	defaultOfNetwork   = 500
	// A page has two connections as long as it is in a room: its WebSocket, and one of HTTP/2 that it was loaded by and that is kept
	// for two minutes. Without TLS it is loaded by up to six. Of all in a room, and of one network, there is twice the room for that.
	defaultConnections          = 8 * defaultMaxSessions
	defaultConnectionsOfNetwork = 8 * defaultOfNetwork
	defaultUnjoined             = 2 * defaultMaxSessions
	defaultUnjoinedOfNetwork    = 2 * defaultOfNetwork
	defaultResumeWithin         = 30 * time.Second
	defaultMediaWithin          = 30 * time.Second
	defaultPINAttempts          = 8
	defaultPINRefill            = 10 * time.Second
)

// withDefaults fills in the defaults and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Host == nil {
		return c, errors.New("web: no host")
	}
	setDefault(&c.Listen, defaultListen)
	setDefault(&c.MaxBody, defaultMaxBody)
	setDefault(&c.MaxMessage, defaultMaxMessage)
	setDefault(&c.MaxSessions, defaultMaxSessions)
	setDefault(&c.MaxSessionsOfNetwork, defaultOfNetwork)
	setDefault(&c.MaxConnections, defaultConnections)
	setDefault(&c.MaxConnectionsOfNetwork, defaultConnectionsOfNetwork)
	setDefault(&c.MaxUnjoined, defaultUnjoined)
	setDefault(&c.MaxUnjoinedOfNetwork, defaultUnjoinedOfNetwork)
	setDefault(&c.ResumeWithin, defaultResumeWithin)
	setDefault(&c.MediaWithin, defaultMediaWithin)
	setDefault(&c.PINAttempts, defaultPINAttempts)
	setDefault(&c.PINRefill, defaultPINRefill)
	if c.Redirect != "" && c.TLS == nil {
		return c, errors.New("web: without TLS there is nothing to send people on to")
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("web: listen address %q: %w", c.Listen, err)
	}
	if c.TLS == nil && !c.InsecureHTTP && !isLoopback(host) && !isUnspecified(host) {
		return c, fmt.Errorf("web: plain HTTP on %s: browsers give camera and microphone only to pages that came by TLS; "+
			"set a certificate, ACME, or insecure_http if a proxy does TLS", c.Listen)
	}
	if c.MediaUDP == "" && c.MediaTCP == "" {
		c.MediaUDP = ":" + port
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" {
			return c, fmt.Errorf("web: public URL %q is not of the form https://host", c.PublicURL)
		}
		c.PublicURL = u.Scheme + "://" + u.Host
	}
	for _, o := range c.Embed {
		if u, err := url.Parse(o); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Scheme+"://"+u.Host != o || strings.ContainsAny(o, " ;,'*") {
			return c, fmt.Errorf("web: %q, which is to embed the page, is not of the form https://host", o)
		}
	}
	for _, o := range c.AllowedOrigins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || u.Scheme == "" || u.Path != "" {
			return c, fmt.Errorf("web: allowed origin %q is not of the form https://host", o)
		}
	}
	return c, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func isUnspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || (ip != nil && ip.IsUnspecified())
}
