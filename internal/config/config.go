// Package config reads config.yaml, the environment and the flags into one Config
// and refuses, in one line each that names the place and the key, what it does not know or what
// cannot be. It knows nothing of what the values are for: cmd/rendezvous hands
// them on.
package config

import (
	"log/slog"
	"time"

	"rendezvous/conference/settings"
)

// Config is everything that can be set; what can be set about a room is in package settings. The mapstructure tags are
// the keys; docs/config.md documents each. live:"yes" marks what a SIGHUP changes without a restart, live:"no" the exceptions in it;
// secret:"yes" a secret that is not of type Secret. Each secret's value may stand in a file: Keys has the key that names it.
type Config struct {
	Data       string                   `mapstructure:"data"`
	Drain      time.Duration            `mapstructure:"drain"`
	Log        Log                      `mapstructure:"log"`
	Admin      Admin                    `mapstructure:"admin"`
	Telemetry  Telemetry                `mapstructure:"telemetry"`
	API        API                      `mapstructure:"api" live:"yes"`
	Webhooks   map[string]Webhook       `mapstructure:"webhooks" live:"yes"` // by a name for the logs
	Web        Web                      `mapstructure:"web"`
	SIP        SIP                      `mapstructure:"sip"`
	Jami       Jami                     `mapstructure:"jami"`
	Media      Media                    `mapstructure:"media"`
	Recordings Recordings               `mapstructure:"recordings"`
	People     map[string]Person        `mapstructure:"people"`           // by a name of the administrator's choosing
	Rooms      map[string]settings.Room `mapstructure:"rooms" live:"yes"` // by id

	MaxParticipants int `mapstructure:"max_participants"` // in all rooms together; 0: no limit
}

// Log says how the host reports.
type Log struct {
	Level  string `mapstructure:"level" live:"yes"` // debug, info, warn, error
	Format string `mapstructure:"format"`           // text, json
}

// Admin is the port for operators.
type Admin struct {
	Listen string `mapstructure:"listen"`
}

// Telemetry is where it is told how calls are set up.
type Telemetry struct {
	Endpoint string `mapstructure:"endpoint"` // of OTLP over HTTP, a URL; empty: nowhere
}

// API is the control API, served on the web port.
type API struct {
	Tokens map[string]Token `mapstructure:"tokens"` // by a name for the logs
}

// Token lets a program use the control API.
type Token struct {
	Secret Secret   `mapstructure:"secret"`
	Scopes []string `mapstructure:"scopes"` // what it may do; empty: everything
	Rooms  []string `mapstructure:"rooms"`  // ids it may act in; empty: all
}

// Webhook is another program's address that is told what happens in the rooms.
type Webhook struct {
	URL    string   `mapstructure:"url"`
	Secret Secret   `mapstructure:"secret"` // signs the posts
	Events []string `mapstructure:"events"` // kinds; empty: all
}

// Web is the door for browsers.
type Web struct {
	Enabled        bool     `mapstructure:"enabled"`
	Listen         string   `mapstructure:"listen"`
	PublicURL      string   `mapstructure:"public_url"`
	PlainHTTP      bool     `mapstructure:"plain_http"` // beyond loopback
	TLS            TLS      `mapstructure:"tls"`
	ACME           ACME     `mapstructure:"acme"`
	Origins        []string `mapstructure:"origins"`
	Embed          []string `mapstructure:"embed"` // origins of pages that may have this one in a frame
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	MediaUDP       string   `mapstructure:"media_udp"` // one address for all media; empty: the port of Listen, on all addresses
	MediaTCP       string   `mapstructure:"media_tcp"` // for browsers that UDP does not reach; empty: not
	PublicIPs      []string `mapstructure:"public_ips"`
	JoinSecret     Secret   `mapstructure:"join_secret"` // signs links that let people in; empty: one of the data folder
	RecordingsRole string   `mapstructure:"recordings_role"`
	ICE            WebICE   `mapstructure:"ice"`
}

// TLS names a certificate and its key, PEM files.
type TLS struct {
	Certificate string `mapstructure:"certificate"`
	Key         string `mapstructure:"key"`
}

// ACME gets certificates from a certificate authority.
type ACME struct {
	Domains   []string `mapstructure:"domains"`
	Email     string   `mapstructure:"email"`
	Directory string   `mapstructure:"directory"` // URL; empty: Let's Encrypt
	HTTP      string   `mapstructure:"http"`      // address that answers challenges over HTTP and redirects people; empty: none
}

// WebICE helps browsers behind firewalls.
type WebICE struct {
	Servers    []string `mapstructure:"servers"` // stun:… and turn:… URLs
	Username   string   `mapstructure:"username"`
	Credential Secret   `mapstructure:"credential"`
	Secret     Secret   `mapstructure:"secret"` // makes short-lived credentials instead (TURN REST API)
}

// SIP is the door for phones.
type SIP struct {
	Enabled        bool             `mapstructure:"enabled"`
	UDP            string           `mapstructure:"udp"` // addresses to listen on; empty: not
	TCP            string           `mapstructure:"tcp"`
	TLS            string           `mapstructure:"tls"`
	Certificate    string           `mapstructure:"certificate"`
	Key            string           `mapstructure:"key"`
	External       string           `mapstructure:"external"` // name or IP address announced to phones on the internet
	Domains        []string         `mapstructure:"domains"`  // host parts that are served; empty: any
	RTP            Ports            `mapstructure:"rtp"`
	SRTP           string           `mapstructure:"srtp"` // off, optional, required
	MediaTimeout   time.Duration    `mapstructure:"media_timeout"`
	HoldTimeout    time.Duration    `mapstructure:"hold_timeout"`
	SessionExpires time.Duration    `mapstructure:"session_expires"` // RFC 4028; 0: not asked for
	Audio          []string         `mapstructure:"audio"`           // codecs, preferred first
	Video          []string         `mapstructure:"video"`
	MaxCalls       int              `mapstructure:"max_calls"`
	Trusted        []string         `mapstructure:"trusted"` // networks without rate limits
	DialTo         []string         `mapstructure:"dial_to"` // patterns of whom rooms may call
	DialPerHour    int              `mapstructure:"dial_per_hour"`
	Tones          bool             `mapstructure:"tones"` // tell of comings and goings
	Users          map[string]User  `mapstructure:"users"` // who prove by a password who they are
	Trunks         map[string]Trunk `mapstructure:"trunks"`
}

// Ports is a range of UDP ports, both ends included.
type Ports struct {
	Min int `mapstructure:"min"`
	Max int `mapstructure:"max"`
}

// User is somebody with a SIP address of this host.
type User struct {
	Password Secret `mapstructure:"password"`
}

// Trunk is an upstream registrar or exchange through which phones reach a room.
type Trunk struct {
	Number       string        `mapstructure:"number"`    // telephone number, as people dial it; empty: not told
	Registrar    string        `mapstructure:"registrar"` // SIP URI
	Username     string        `mapstructure:"username"`
	AuthUsername string        `mapstructure:"auth_username"` // empty: Username
	Password     Secret        `mapstructure:"password"`
	Domain       string        `mapstructure:"domain"` // of the address; empty: the registrar's host
	Register     bool          `mapstructure:"register"`
	Expiry       time.Duration `mapstructure:"expiry"`
	Room         string        `mapstructure:"room"` // where its calls go; empty: the spoken menu
	Dial         bool          `mapstructure:"dial"` // calls out go through it
}

// Jami is the door for Jami devices.
type Jami struct {
	Enabled   bool     `mapstructure:"enabled"`
	Bootstrap []string `mapstructure:"bootstrap"`         // DHT nodes, host:port
	DHTPort   int      `mapstructure:"dht_port"`          // UDP; 0: any
	TCPPort   int      `mapstructure:"tcp_port"`          // for devices' connections; 0: any
	RTP       Ports    `mapstructure:"rtp"`               // for media; 0: any
	STUN      []string `mapstructure:"stun"`              // host:port
	TURN      []string `mapstructure:"turn" secret:"yes"` // user:password@host:port
	UPnP      bool     `mapstructure:"upnp"`
	H265      bool     `mapstructure:"h265"`
	PublicIPs []string `mapstructure:"public_ips"`
}

// Media says what rooms look and sound like.
type Media struct {
	Canvas string   `mapstructure:"canvas"` // WIDTHxHEIGHT
	Rungs  []string `mapstructure:"rungs"`  // WIDTHxHEIGHT@FPS:BITRATE, the best first
	Voice  string   `mapstructure:"voice"`  // of spoken announcements (espeak-ng); empty: they are only shown
}

// Recordings says how recordings are written and kept.
type Recordings struct {
	Dir      string        `mapstructure:"dir"`      // relative to the data folder
	KeyFile  string        `mapstructure:"key_file"` // encrypts; empty: not
	Fragment time.Duration `mapstructure:"fragment"`
	MinFree  Size          `mapstructure:"min_free" live:"yes"`
	MaxAge   time.Duration `mapstructure:"max_age" live:"yes"`
	MaxSize  Size          `mapstructure:"max_size" live:"yes"`
}

// Person is somebody who is known through several doors, or through one by several
// addresses: roles and bans of one identity hold for all of them.
type Person struct {
	Identities []string `mapstructure:"identities"`
}

// Secret is text that is not to be printed.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Size is a number of bytes, written "20GB" or "500MiB" or plain.
type Size int64
