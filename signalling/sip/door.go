package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"golang.org/x/time/rate"

	"rendezvous/conference"
	"rendezvous/internal/anyaddr"
	"rendezvous/internal/connlimit"
	"rendezvous/internal/prompts"
	"rendezvous/internal/sourcenet"
	"rendezvous/signalling/sip/rtppipe"
)

// Door is the telephones' way into the rooms. It is a conference.Door and a conference.Dialer.
type Door struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	gate    *gate
	users   *users
	prompts *prompts.Set
	ports   rtppipe.Ports

	ua     *sipgo.UserAgent
	server *sipgo.Server
	client *sipgo.Client

	external  atomic.Pointer[externals] // nil: none, or not known yet
	listeners []listener
	udp       *net.UDPConn // nil: no UDP

	ctx    context.Context // ends when the door closes
	cancel context.CancelFunc
	wg     sync.WaitGroup // readers, registrations, calls

	registrations []*registration

	shutOnce sync.Once
	shutErr  error

	dialed  dialed
	unasked *rate.Limiter // packets of sound to addresses that have not shown that they are a caller's

	mu       sync.Mutex // guards what follows
	draining bool
	calls    map[string]*call // by our tag
	empty    chan struct{}    // closed when draining and no call is left
}

// What all calls together may send to addresses that have not shown that they are a caller's: ten calls at once,
// and one more every two seconds.
const (
	unaskedRate  = 50 // packets a second
	unaskedBurst = 1000
)

// listener is an address the door listens on.
type listener struct {
	transport string // "UDP", "TCP", "TLS"
	addr      netip.AddrPort
	close     func() error
}

// maxMessage is the largest SIP message sent over UDP, bytes. Answers with video
// and keys are larger than sipgo's limit; IP fragments them.
const maxMessage = 8 << 10

// prepareSipgo sets, once, what sipgo keeps in variables of its package: the limit,
// and the logger of its connections, which has nothing to say that the door does not.
var prepareSipgo = sync.OnceFunc(func() {
	sip.UDPMTUSize = maxMessage + 200
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
})

// New makes a door from its parameters. It does not listen yet. The error names the parameter that is wrong, or is
// of reading the prompts.
func New(cfg Config) (*Door, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("sip: %w", err)
	}
	if cfg.Prompts == nil {
		set, err := prompts.English()
		if err != nil {
			return nil, fmt.Errorf("sip: %w", err)
		}
		cfg.Prompts = set
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	prepareSipgo()
	m := newMetrics(cfg.Registerer)
	starved := &rate.Sometimes{Interval: time.Minute}
	d := &Door{
		cfg: cfg, log: cfg.Log.With("door", "sip"), metrics: m, prompts: cfg.Prompts,
		gate: &gate{
			log: cfg.Log.With("door", "sip"), metrics: m, limiter: newLimiter(cfg.Limits, cfg.Trusted),
			connections: connlimit.New(connlimit.Config{
				All: cfg.Limits.Connections, PerSource: cfg.Limits.PerSource,
				Refused: func(netip.Addr) { m.dropped.WithLabelValues("connections").Inc() },
				Starved: func(err error) {
					starved.Do(func() {
						cfg.Log.Error("nobody can be taken in: the system has no more to give", "door", "sip", "error", err)
					})
				},
			}),
		},
		users: newUsers(cfg.realm(), cfg.Users),
		ports: rtppipe.Ports{Addr: anyaddr.Addr(), Min: cfg.MinPort, Max: cfg.MaxPort},
		calls: make(map[string]*call), empty: make(chan struct{}),
		unasked: rate.NewLimiter(unaskedRate, unaskedBurst),
	}
	return d, nil
}

// Name is "sip", as in conference.Caller.Door.
func (d *Door) Name() string { return "sip" }

// Start listens and begins to register at the upstreams. It fails if a port or a certificate cannot be had; nothing
// is left open then. An upstream that does not answer is asked again, and no error.
func (d *Door) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sip: %w", err)
			d.shut()
		}
	}()
	quiet := slog.New(quietHandler{d.log.Handler()})
	d.ua, err = sipgo.NewUA(
		sipgo.WithUserAgent(d.cfg.Agent),
		sipgo.WithUserAgenTLSConfig(d.clientTLS()),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sip.WithTransactionLayerLogger(quiet),
			sip.WithTransactionLayerUnhandledResponseHandler(d.strayResponse),
		),
	)
	if err != nil {
		return fmt.Errorf("make user agent: %w", err)
	}
	if d.server, err = sipgo.NewServer(d.ua, sipgo.WithServerLogger(quiet)); err != nil {
		return fmt.Errorf("make server: %w", err)
	}
	d.server.OnNoRoute(d.handle)
	if d.client, err = sipgo.NewClient(d.ua); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.findExternal(ctx)
	if err := d.listen(ctx); err != nil {
		return err
	}
	for _, u := range d.cfg.Upstreams {
		if u.Register {
			r := newRegistration(d, u)
			d.registrations = append(d.registrations, r)
			d.wg.Go(func() { r.run(d.ctx) })
		}
	}
	d.cfg.Host.AddDialer(d)
	return nil
}

// listen opens the configured sockets, then starts their readers.
func (d *Door) listen(ctx context.Context) error {
	var serve []func()
	if d.cfg.UDP != "" {
		pc, err := anyaddr.ListenPacket(ctx, d.cfg.UDP)
		if err != nil {
			return fmt.Errorf("listen on UDP: %w", err)
		}
		d.udp = pc.(*net.UDPConn)
		d.listeners = append(d.listeners, listener{"UDP", pc.LocalAddr().(*net.UDPAddr).AddrPort(), pc.Close})
		serve = append(serve, d.serveUDP)
	}
	if d.cfg.TCP != "" {
		l, err := anyaddr.Listen(ctx, d.cfg.TCP)
		if err != nil {
			return fmt.Errorf("listen on TCP: %w", err)
		}
		d.listeners = append(d.listeners, listener{"TCP", l.Addr().(*net.TCPAddr).AddrPort(), l.Close})
		gated := d.framed(d.gate.connections.Listener(l))
		serve = append(serve, func() { d.server.ServeTCP(gated) })
	}
	if d.cfg.TLS != "" {
		get, err := d.cfg.certificate()
		if err != nil {
			return err
		}
		l, err := anyaddr.Listen(ctx, d.cfg.TLS)
		if err != nil {
			return fmt.Errorf("listen on TLS: %w", err)
		}
		d.listeners = append(d.listeners, listener{"TLS", l.Addr().(*net.TCPAddr).AddrPort(), l.Close})
		config := &tls.Config{GetCertificate: get, MinVersion: tls.VersionTLS12}
		gated := d.framed(tls.NewListener(d.gate.connections.Listener(l), config))
		serve = append(serve, func() { d.server.ServeTLS(gated) })
	}
	for _, f := range serve {
		d.wg.Go(f)
	}
	return nil
}

// framed is l with the door's patience, and with messages that sipgo can read.
func (d *Door) framed(l net.Listener) net.Listener {
	return framedListener{patientListener{l, firstMessage, idle, d.inUse}, d.gate}
}

// serveUDP gives sipgo's reader one life after the other; see udpSocket.
func (d *Door) serveUDP() {
	parser := sip.NewParser()
	for d.ctx.Err() == nil {
		socket := &udpSocket{UDPConn: d.udp, gate: d.gate, parser: parser, seen: make(map[netip.AddrPort]struct{})}
		if err := d.server.ServeUDP(socket); err != nil {
			d.log.Error("UDP reader stopped", "error", err)
			return
		}
	}
}

// Addr is the address the door listens on for a transport ("UDP", "TCP", "TLS");
// not valid if it does not.
func (d *Door) Addr(transport string) netip.AddrPort {
	for _, l := range d.listeners {
		if l.transport == transport {
			return l.addr
		}
	}
	return netip.AddrPort{}
}

// Telephones returns the telephone numbers that lead to a room, each as a tel: URI (RFC 3966) with what is keyed in then.
func (d *Door) Telephones(id string) (out []conference.Address) {
	room, err := d.cfg.Host.Room(id)
	if err != nil {
		return nil
	}
	for i := range d.cfg.Upstreams {
		u := &d.cfg.Upstreams[i]
		if u.Number == "" || u.Room != "" && u.Room != id {
			continue
		}
		a := conference.Address{Door: d.Name(), Text: "tel:" + strings.Map(dialled, u.Number)}
		if u.Room == "" {
			keys := d.keysOf(room)
			if keys == "" {
				continue // the menu knows no way to it
			}
			a.Keys = keys + "#"
		}
		out = append(out, a)
	}
	return out
}

// dialled leaves out of a telephone number what only makes it easier to read.
func dialled(r rune) rune {
	if r == '+' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// keysOf is what leads to a room in the menu: its number, or its id as it is spelt on the keys; "" if that means nothing or another.
func (d *Door) keysOf(room *conference.Room) string {
	if number := room.Settings().Number; number != "" {
		return number
	}
	keys := spelt(room.ID())
	if d.roomByKeys(keys) != room {
		return ""
	}
	return keys
}

// Addresses returns the SIP addresses of a room.
func (d *Door) Addresses(room string) []string {
	if _, err := d.cfg.Host.Room(room); err != nil {
		return nil
	}
	host := d.cfg.External
	if len(d.cfg.Domains) > 0 {
		host = d.cfg.Domains[0]
	}
	var out []string
	for _, l := range d.listeners {
		h := host
		if h == "" {
			h = d.localAddr(netip.Addr{}).String()
		}
		if a, err := netip.ParseAddr(h); err == nil && a.Is6() {
			h = "[" + h + "]"
		}
		scheme, standard := "sip:", uint16(sip.DefaultUdpPort)
		if l.transport == "TLS" {
			scheme, standard = "sips:", uint16(sip.DefaultTlsPort)
		}
		address := scheme + room + "@" + h
		if l.addr.Port() != standard {
			address += ":" + strconv.Itoa(int(l.addr.Port()))
		}
		if !slices.Contains(out, address) {
			out = append(out, address)
		}
	}
	for _, u := range d.cfg.Upstreams {
		if u.Room == room {
			out = append(out, "sip:"+u.User+"@"+u.domain())
		}
	}
	return out
}

// Drain refuses new calls and returns when the present ones are gone or ctx ends.
func (d *Door) Drain(ctx context.Context) {
	d.mu.Lock()
	if !d.draining {
		d.draining = true
		if len(d.calls) == 0 {
			close(d.empty)
		}
	}
	d.mu.Unlock()
	select {
	case <-d.empty:
	case <-ctx.Done():
	}
}

// Close hangs up on everybody and stops listening. Twice is the same as once. The error is of closing sockets; all is
// closed all the same.
func (d *Door) Close() error {
	d.mu.Lock()
	if !d.draining {
		d.draining = true
		if len(d.calls) == 0 {
			close(d.empty)
		}
	}
	d.mu.Unlock()
	return d.shut()
}

// shut ends what Start began, as far as it came. It is safe to call twice.
func (d *Door) shut() error {
	d.shutOnce.Do(func() { d.shutErr = d.shutDown() })
	return d.shutErr
}

func (d *Door) shutDown() error {
	if d.cancel != nil {
		d.cancel() // calls hang up and registrations are withdrawn while the sockets are still there
	}
	for _, r := range d.registrations {
		<-r.finished
	}
	d.waitForCalls()
	var errs []error
	for _, l := range d.listeners {
		if err := l.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s listener: %w", l.transport, err))
		}
	}
	if d.ua != nil {
		// sipgo reports sockets that are closed already.
		_ = d.ua.Close()
	}
	d.wg.Wait()
	return errors.Join(errs...)
}

func (d *Door) waitForCalls() {
	d.mu.Lock()
	list := make([]*call, 0, len(d.calls))
	for _, c := range d.calls {
		list = append(list, c)
	}
	d.mu.Unlock()
	for _, c := range list {
		<-c.gone
	}
}

// register adds a call, if there is a place for it. A call that is not confirmed holds no place of others': whoever
// sends INVITEs from forged addresses, or never confirms, would take them all for half a minute.
func (d *Door) register(c *call) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all, pending, ofSource, pendingOfSource int
	var oldest *call
	source, trusted := sourcenet.Of(c.dialog.peer()), d.gate.limiter.isTrusted(c.dialog.peer())
	for _, other := range d.calls {
		same := sourcenet.Of(other.dialog.peer()) == source
		if same {
			ofSource++
		}
		switch {
		case other.outgoing || other.confirmed():
			all++
			continue
		case other.over.Err() != nil:
			continue // made way for another
		}
		pending++
		if same {
			pendingOfSource++
		}
		if oldest == nil || other.created.Before(oldest.created) {
			oldest = other
		}
	}
	limits := &d.cfg.Limits
	if d.draining || all >= d.cfg.MaxCalls || !trusted && !c.outgoing && (ofSource >= limits.Calls || pendingOfSource >= limits.Pending) {
		return false
	}
	if !c.outgoing && pending >= limits.AllPending {
		oldest.end(errUnconfirmed)
	}
	d.calls[c.dialog.localTag] = c
	d.metrics.calls.Set(float64(len(d.calls)))
	return true
}

// inUse reports whether the signalling of a call comes from an address.
func (d *Door) inUse(remote string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.dialog.from() == remote {
			return true
		}
	}
	return false
}

func (d *Door) unregister(c *call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.calls, c.dialog.localTag)
	d.metrics.calls.Set(float64(len(d.calls)))
	if d.draining && len(d.calls) == 0 {
		select {
		case <-d.empty:
		default:
			close(d.empty)
		}
	}
}

// find returns the call that an in-dialog request belongs to.
func (d *Door) find(req *sip.Request) *call {
	to, from, id := req.To(), req.From(), req.CallID()
	if to == nil || from == nil || id == nil {
		return nil
	}
	tag, _ := to.Params.Get("tag")
	remote, _ := from.Params.Get("tag")
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.calls[tag]
	if c == nil || c.dialog.callID != id.Value() || c.dialog.remoteTag != remote {
		return nil
	}
	return c
}

// merged reports whether the request came already on another way (RFC 3261 §8.2.2.2).
func (d *Door) merged(req *sip.Request) bool {
	from, id := req.From(), req.CallID()
	remote, _ := from.Params.Get("tag")
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.dialog.callID == id.Value() && c.dialog.remoteTag == remote {
			return true
		}
	}
	return false
}

func (d *Door) isDraining() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.draining || d.cfg.Host.Draining()
}

var (
	_ conference.Door   = (*Door)(nil)
	_ conference.Dialer = (*Door)(nil)
)

// quietHandler keeps sipgo's remarks about other people's mistakes at debug level.
type quietHandler struct{ slog.Handler }

func (h quietHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h quietHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(a)}
}

func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}

// domain is the host part of the upstream's address of record.
func (u *Upstream) domain() string {
	if u.Domain != "" {
		return u.Domain
	}
	var uri sip.Uri
	if err := sip.ParseUri(u.Registrar, &uri); err != nil {
		return ""
	}
	return strings.ToLower(uri.Host)
}

func (u *Upstream) check() error {
	var uri sip.Uri
	switch err := sip.ParseUri(u.Registrar, &uri); {
	case u.Name == "":
		return errors.New("an upstream has no name")
	case err != nil || uri.Host == "" || (uri.Scheme != "sip" && uri.Scheme != "sips"):
		return fmt.Errorf("upstream %s: registrar %q is not a SIP URI", u.Name, u.Registrar)
	case u.User == "":
		return fmt.Errorf("upstream %s: no user", u.Name)
	case u.Expires < 0:
		return fmt.Errorf("upstream %s: expires is negative", u.Name)
	}
	return nil
}
