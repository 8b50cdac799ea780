package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rendezvous/conference"
	"rendezvous/internal/hostheader"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/page"
	"rendezvous/signalling/web/rtc"
)

// Door is the browsers' way in. It is a conference.Door.
type Door struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	engine    *rtc.Engine
	servers   []*http.Server
	serving   sync.WaitGroup // the servers' goroutines
	sockets   sync.WaitGroup // the WebSockets' handlers
	callers   sync.WaitGroup // the sessions' goroutines
	ctx       context.Context
	stop      context.CancelFunc
	drained   chan struct{} // closed when no more callers are taken
	drainOnce sync.Once     // closes it
	addresses func(room string) []conference.Address

	tokens   atomic.Pointer[[]control.Token] // that open the control API
	sessions *registry
	rosters  *rosters
	guesses  *attempts
	limits   limits
	codes    *qrCodes
	linkKey  [32]byte // signs recordings' links
	origins  origins
	base     string // "https://meet.example.org"
}

// New checks the parameters. Start opens the door. The error names the parameter that is wrong.
func New(cfg Config) (*Door, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Door{
		cfg: cfg, log: cfg.Log.With("door", "web"),
		metrics:  newMetrics(cfg.Registerer),
		drained:  make(chan struct{}),
		sessions: newRegistry(cfg.MaxSessions, cfg.MaxSessionsOfNetwork),
		rosters:  newRosters(),
		codes:    newQRCodes(),
		guesses:  newAttempts(cfg.PINAttempts, cfg.PINRefill, time.Now),
	}
	d.limits = d.newLimits()
	d.SetTokens(cfg.Tokens)
	if _, err := rand.Read(d.linkKey[:]); err != nil {
		return nil, fmt.Errorf("web: making a key: %w", err)
	}
	d.addresses = func(room string) (out []conference.Address) {
		for _, a := range d.Addresses(room) {
			out = append(out, conference.Address{Door: d.Name(), Text: a})
		}
		return out
	}
	return d, nil
}

// Name is "web", as in conference.Caller.Door.
func (d *Door) Name() string { return "web" }

// SetAddresses gives the control API the addresses of rooms by all doors; without it,
// it knows this door's. It is called before Start.
func (d *Door) SetAddresses(f func(room string) []conference.Address) { d.addresses = f }

// SetTokens says which tokens open the control API from now on; a request that is under way goes on, but who
// follows events is told those alone that the token is still good for.
func (d *Door) SetTokens(tokens []control.Token) { d.tokens.Store(&tokens) }

// Start opens the HTTP server and the media ports. It fails if a port cannot be had; nothing
// is left open then.
func (d *Door) Start(ctx context.Context) error {
	listeners, err := d.listeners(ctx)
	if err != nil {
		return fmt.Errorf("web: listening on %s: %w", d.cfg.Listen, err)
	}
	d.engine, err = rtc.NewEngine(rtc.Config{
		Log: d.log, UDPAddr: d.cfg.MediaUDP, TCPAddr: d.cfg.MediaTCP, PublicIPs: d.cfg.PublicIPs,
		Loopback: !d.cfg.NoLoopbackMedia, VideoCodecs: d.cfg.VideoCodecs, Malformed: d.metrics.stun.Inc,
		Connections: d.limits.media,
	})
	if err != nil {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
		return fmt.Errorf("web: %w", err)
	}
	d.base = d.cfg.PublicURL
	if d.base == "" {
		d.base = baseURL(d.cfg, listeners[0].Addr())
	}
	d.origins = newOrigins(d.base, d.cfg.AllowedOrigins)
	d.ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))

	server := d.server(d.handler())
	server.TLSConfig = d.cfg.TLS
	d.servers = append(d.servers, server)
	for _, l := range listeners {
		d.serve(server, l, d.cfg.TLS != nil)
	}
	if d.cfg.Redirect != "" {
		if err := d.openRedirect(ctx); err != nil {
			return errors.Join(err, d.Close())
		}
	}
	d.log.Info("web door open", "url", d.base, "listen", listeners[0].Addr().String())
	return nil
}

func (d *Door) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		// WebSockets are free of both; downloads set a deadline for each write.
		ReadTimeout:    30 * time.Second,
		WriteTimeout:   time.Minute,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 32 << 10,
		// Of one connection so many requests are answered at a time: each may have a body of 64 KiB that comes as slowly as it likes.
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 50},
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
}

func baseURL(cfg Config, addr net.Addr) string {
	scheme := "http"
	if cfg.TLS != nil {
		scheme = "https"
	}
	host, _, _ := net.SplitHostPort(cfg.Listen)
	_, port, _ := net.SplitHostPort(addr.String())
	switch {
	case len(cfg.Names) > 0:
		host = cfg.Names[0]
	case isUnspecified(host) || isLoopback(host):
		host = "localhost"
	}
	if (scheme == "https" && port == "443") || (scheme == "http" && port == "80") {
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Addresses returns the link to a room.
func (d *Door) Addresses(room string) []string {
	if d.base == "" {
		return nil
	}
	return []string{d.base + "/r/" + url.PathEscape(room)}
}

// URL is the address people are given: PublicURL, or one made from Listen.
func (d *Door) URL() string { return d.base }

// handler is the door's paths.
func (d *Door) handler() http.Handler {
	api := &control.API{
		Log: d.log, Host: d.cfg.Host, Tokens: func() []control.Token { return *d.tokens.Load() }, MaxBody: d.cfg.MaxBody,
		Addresses: func(room string) (out []string) {
			for _, a := range d.addresses(room) {
				if !a.Pending {
					out = append(out, a.Text)
				}
			}
			return out
		},
		Pending: func(room string) (out []string) {
			for _, a := range d.addresses(room) {
				if a.Pending {
					out = append(out, a.Door)
				}
			}
			return out
		},
		Allow:      func(r *http.Request) bool { return d.guesses.allow(d.clientIP(r)) },
		Failed:     func(r *http.Request) { d.guesses.failed(d.clientIP(r)) },
		Recordings: d.cfg.Recordings,
		Contacts:   d.cfg.Contacts,
		Links:      d.cfg.Links,
		LinkURL:    d.LinkURL,
		Events:     d.cfg.Events,
	}
	pages := page.Handler()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pages)
	mux.Handle("GET /assets/", pages)
	mux.Handle("GET /favicon.ico", pages)
	mux.Handle("GET /r/{room}", d.withDevice(pages))
	mux.HandleFunc("GET /r/{room}/about", d.about)
	mux.HandleFunc("GET /ws", d.socket)
	mux.Handle("/whip/", d.whip())
	mux.Handle("/whep/", d.whep())
	mux.Handle("/api/", d.cors(api.Handler(), "GET, POST, PATCH, DELETE"))
	mux.HandleFunc("GET /rec/{room}/{id}", d.playRecording)
	mux.HandleFunc("GET /rec/{room}/{id}/chapters.vtt", d.recordingChapters)
	return d.headers(hostheader.Check(mux, d.names(), d.beyondRebinding, "its name is set by web.public_url"))
}

// names are the host names that people reach this door by.
func (d *Door) names() []string {
	names := slices.Clone(d.cfg.Names)
	for o := range d.origins {
		if u, err := url.Parse(o); err == nil {
			names = append(names, u.Hostname())
		}
	}
	return names
}

// beyondRebinding reports requests whose Host cannot be another's: a certificate has proven it, or a proxy of ours
// has let it pass.
func (d *Door) beyondRebinding(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.TLS != nil
	}
	ip, err := netip.ParseAddr(host)
	return r.TLS != nil || err == nil && d.trusted(ip.Unmap().WithZone(""))
}

// Drain refuses new callers and waits for the present ones to go. For one whose page is away it
// waits no longer than a page needs to connect again.
func (d *Door) Drain(ctx context.Context) {
	d.drain()
	d.sessions.waitEmpty(ctx)
}

func (d *Door) drain() { d.drainOnce.Do(func() { close(d.drained) }) }

// Close ends all calls and waits for everything to stop. The error is of closing listeners; all is
// closed all the same.
func (d *Door) Close() error {
	d.drain()
	if d.stop == nil {
		return nil
	}
	d.stop()
	d.callers.Wait()
	var errs []error
	for _, s := range d.servers {
		errs = append(errs, s.Close())
	}
	d.serving.Wait()
	d.sockets.Wait()
	errs = append(errs, d.engine.Close())
	return errors.Join(errs...)
}

// about tells the page, before anybody joins, what the room is called, whether it wants a PIN, whether it is recorded, and
// whose pages may have it in a frame.
func (d *Door) about(w http.ResponseWriter, r *http.Request) {
	room, err := d.cfg.Host.Room(r.PathValue("room"))
	if err != nil {
		writeJSON(w, http.StatusNotFound, refusalMessage(err))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"room": room.ID(), "title": room.Title(), "needsPin": room.NeedsPIN(), "takesTokens": len(d.cfg.JoinSecret) > 0,
		"recorded": room.Recorded(), "embed": append([]string{}, d.cfg.Embed...),
	})
}

// admit refuses callers that no room needs to be asked about.
func (d *Door) admit() error {
	select {
	case <-d.drained:
		return &conference.Refusal{Code: conference.RefusedDraining, Text: "The host is about to stop. Please try again in a few minutes."}
	default:
		return nil
	}
}

var _ conference.Door = (*Door)(nil)

// trimName makes a display name of what somebody typed: one line, at most 64 characters.
func trimName(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || isBidiControl(r) }), " ")
	runes := []rune(strings.TrimSpace(s))
	if len(runes) > 64 {
		runes = runes[:64]
	}
	return strings.TrimSpace(string(runes))
}

// isBidiControl finds the characters that could make a name rewrite the text around it.
func isBidiControl(r rune) bool {
	return (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}
