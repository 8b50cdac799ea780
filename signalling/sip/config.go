package sip

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/conference"
	"rendezvous/internal/prompts"
	"rendezvous/internal/tracing"
	"rendezvous/mixer/leg"
	"rendezvous/signalling/sdp"
)

// Config are the parameters of the door. Default gives all but Log and Host.
type Config struct {
	Log        *slog.Logger
	Host       *conference.Host
	Prompts    *prompts.Set          // nil: the English ones
	Registerer prometheus.Registerer // nil: nothing is counted for anybody to see
	LegMetrics *leg.Metrics          // may be nil
	Tracer     *tracing.Tracer       // of calls' set-ups; nil: nothing is traced

	// Addresses to listen on, "host:port"; an empty host is all addresses, an empty
	// string leaves the transport out.
	UDP, TCP, TLS string

	// Certificate has what phones are shown over TLS, and is asked with each handshake. If it is nil, a self-signed
	// certificate is made once and kept in DataDir.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	DataDir     string

	// External is the host name or IP address under which phones on the internet
	// reach this host, where that is not its own (NAT). Phones in private networks
	// are given the local address. Media need an IP address: a name is looked up at the start, and again until
	// there is an answer.
	External string
	Resolver Resolver // looks up External and registrars; nil is net.DefaultResolver

	// Domains are the host parts of SIP addresses that are served here. Empty: any.
	Domains []string

	// Users are people with passwords, by name: the user part of their address. Who calls
	// under such a name is asked for the password, and their identity, "sip:NAME@REALM", is
	// then proven. REALM is the first of Domains, or External, or "rendezvous".
	Users map[string]string

	// Menu are the user parts of SIP addresses that lead to the spoken menu, where callers
	// key in the number of a room. A call without a user part leads there too. Room ids made of
	// digits need no number of their own, and the others can be spelt on the keypad.
	Menu []string

	// Media ports, both inclusive; RTP takes an even one and RTCP the next. 0, 0: any.
	MinPort, MaxPort int

	// Codecs in order of preference: "opus", "G722", "PCMA", "PCMU"; "H264", "VP8".
	// No Video codecs: audio only.
	Audio, Video []string
	// VideoBitrate is what a phone is asked to send at most, bit/s.
	VideoBitrate int

	SRTP sdp.SRTP // off, optional or required

	// MediaTimeout ends a call from which neither RTP nor RTCP came for so long.
	// HoldTimeout takes its place while the phone has put the call on hold.
	MediaTimeout, HoldTimeout time.Duration
	// SessionExpires is the session timer asked for (RFC 4028), MinSE the shortest
	// accepted. SessionExpires 0 asks for none of phones that do not.
	SessionExpires, MinSE time.Duration
	// Ring is how long the phone rings before it is answered.
	Ring time.Duration
	// KeyTimeout is how long the menu waits for the next key.
	KeyTimeout time.Duration

	DialRules DialRules

	MaxCalls int // at the same time, those that leave included
	Limits   Limits
	Trusted  []netip.Prefix // sources that the limits do not apply to
	// Scanners are beginnings of User-Agent values whose requests are dropped unanswered.
	Scanners []string

	// Chatter is what phones hear of others coming and going.
	Chatter Chatter

	Upstreams []Upstream
	Agent     string // User-Agent and Server header

	Now func() time.Time // what calls' patience is measured by; nil is time.Now
}

// realm is what passwords are for, and the host part of proven identities.
func (c *Config) realm() string {
	switch {
	case len(c.Domains) > 0:
		return strings.ToLower(c.Domains[0])
	case c.External != "":
		return strings.ToLower(c.External)
	}
	return "rendezvous"
}

// Chatter is how comings and goings are told.
type Chatter string

// The ways to tell of others' coming and going.
const (
	ChatterTones Chatter = "tones"
	ChatterOff   Chatter = "off"
)

// Limits bound what one source address (IPv6: its /64 network) may send per second, and in a burst, and what it
// may hold.
type Limits struct {
	InvitePerSecond  float64
	InviteBurst      int
	OptionsPerSecond float64
	OptionsBurst     int
	OtherPerSecond   float64
	OtherBurst       int

	Calls       int // of one source
	Pending     int // calls of one source that were answered and not confirmed yet
	AllPending  int // those of all sources together, beside MaxCalls; the oldest makes way for a new one
	Sources     int // remembered at a time, for each kind of request; beyond that new sources share one allowance
	Connections int // TCP and TLS connections in all
	PerSource   int // TCP and TLS connections of one source
}

// Upstream is a registrar or trunk that the host registers with, and that calls
// come from and go to.
type Upstream struct {
	Name      string // for logs and for calls out
	Registrar string // SIP URI: "sip:sip.example.org", "sip:192.0.2.1:5070;transport=tcp"
	User      string // address of record is User at the registrar's host, or at Domain
	Domain    string // "": the registrar's host
	AuthUser  string // "": User
	Password  string
	Register  bool          // false: calls only, no registration
	Expires   time.Duration // asked for
	// Room is where calls to User lead. Empty: to the menu.
	Room string
	// Number is the telephone number that leads to User, as people dial it; "": there is none, or nobody is told of it.
	Number string
	// Dial says that calls out go through this upstream.
	Dial bool
	// InsecureTLS accepts any certificate of the registrar.
	InsecureTLS bool
}

// Default are the settings for a host on a public address.
func Default() Config {
	return Config{
		UDP: ":5060", TCP: ":5060", TLS: ":5061",
		Menu:    []string{"conference", "ivr", "menu"},
		MinPort: 20000, MaxPort: 20999,
		Audio: []string{"opus", "G722", "PCMA", "PCMU"}, Video: []string{"H264", "VP8"},
		VideoBitrate: 2_000_000,
		SRTP:         sdp.SRTPOptional,
		MediaTimeout: 30 * time.Second, HoldTimeout: 10 * time.Minute,
		SessionExpires: 30 * time.Minute, MinSE: 90 * time.Second,
		KeyTimeout: 8 * time.Second,
		DialRules:  DialRules{To: []string{"*"}, PerHour: 30},
		MaxCalls:   200,
		Limits: Limits{
			InvitePerSecond: 5, InviteBurst: 30,
			OptionsPerSecond: 5, OptionsBurst: 20,
			OtherPerSecond: 50, OtherBurst: 200,
			Calls: 100, Pending: 20, AllPending: 100, Sources: 10_000, Connections: 1000, PerSource: 100,
		},
		Scanners: []string{"friendly-scanner", "sipvicious", "sip-scan", "sipcli", "pplsip", "sundayddr"},
		Chatter:  ChatterTones,
		Agent:    "rendezvous",
	}
}

// check reports the first setting that cannot work.
func (c *Config) check() error {
	switch {
	case c.Log == nil || c.Host == nil:
		return errors.New("log and host are needed")
	case c.UDP == "" && c.TCP == "" && c.TLS == "":
		return errors.New("nothing to listen on")
	case c.TLS != "" && c.Certificate == nil && c.DataDir == "":
		return errors.New("TLS needs a certificate, or a data folder to keep a self-signed one")
	case c.MaxPort != 0 && (c.MinPort < 1024 || c.MaxPort > 65535 || c.MaxPort < c.MinPort+3):
		return fmt.Errorf("media ports %d to %d: need a range within 1024 to 65535", c.MinPort, c.MaxPort)
	case len(c.Audio) == 0:
		return errors.New("no audio codec")
	case c.MediaTimeout <= 0 || c.HoldTimeout <= 0 || c.KeyTimeout <= 0:
		return errors.New("media, hold and key timeouts must be positive")
	case c.MinSE < 90*time.Second:
		return errors.New("the shortest session timer is 90 s (RFC 4028)")
	case c.SessionExpires != 0 && c.SessionExpires < c.MinSE:
		return errors.New("the session timer is shorter than the shortest accepted")
	case c.MaxCalls <= 0:
		return errors.New("the most calls at a time must be positive")
	case c.Chatter != ChatterTones && c.Chatter != ChatterOff:
		return fmt.Errorf("comings and goings are told by %q or %q, not %q", ChatterTones, ChatterOff, c.Chatter)
	}
	for _, addr := range []string{c.UDP, c.TCP, c.TLS} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			return fmt.Errorf("listen address %q: %w", addr, err)
		}
	}
	if err := known(c.Audio, "opus", "G722", "PCMA", "PCMU"); err != nil {
		return err
	}
	if err := known(c.Video, "H264", "VP8"); err != nil {
		return err
	}
	for _, u := range c.Upstreams {
		if err := u.check(); err != nil {
			return err
		}
	}
	return nil
}

func known(list []string, names ...string) error {
	for _, c := range list {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+c+" ") {
			return fmt.Errorf("codec %q is not one of %s", c, strings.Join(names, ", "))
		}
	}
	return nil
}

func (c *Config) policy() sdp.Policy {
	return sdp.Policy{Audio: c.Audio, Video: c.Video, SRTP: c.SRTP, VideoBitrate: c.VideoBitrate}
}
