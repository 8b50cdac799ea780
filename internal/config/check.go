package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

var (
	validName  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	validPIN   = regexp.MustCompile(`^[0-9]{0,16}$`)
	validJami  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	identities = regexp.MustCompile(`^(jami:[0-9a-f]{40}|sip:[^\s@]+@[^\s@]+|web:\S+)$`)
)

// check refuses values that cannot be. The first one found is the error.
func (c *Config) check() error {
	checks := []func() error{
		c.checkHouse, c.checkWeb, c.checkSIP, c.checkJami, c.checkMedia, c.checkRecordings, c.checkPeople, c.checkRooms, c.checkTokens,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// first returns the first error, so that a check reads as a list.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: is one of %s, not %q", key, strings.Join(allowed, ", "), value)
}

func within[T int | time.Duration | Size](key string, value, low, high T) error {
	if value < low || value > high {
		return fmt.Errorf("%s: %v is not between %v and %v", key, value, low, high)
	}
	return nil
}

func listenAddress(key, value string) error {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return fmt.Errorf("%s: %q is no address with a port, such as 127.0.0.1:8080 or :8080", key, value)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%s: %q is no port", key, port)
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("%s: %q is no IP address", key, host)
		}
	}
	return nil
}

func optionalAddress(key, value string) error {
	if value == "" {
		return nil
	}
	return listenAddress(key, value)
}

func ipAddresses(key string, values ...string) error {
	for _, v := range values {
		if _, err := netip.ParseAddr(v); err != nil {
			return fmt.Errorf("%s: %q is no IP address", key, v)
		}
	}
	return nil
}

func readable(key, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return f.Close()
}

func certificate(section, certificate, key string) error {
	switch {
	case certificate != "" && key == "":
		return fmt.Errorf("%s.certificate: is set, but %s.key is not", section, section)
	case certificate == "" && key != "":
		return fmt.Errorf("%s.key: is set, but %s.certificate is not", section, section)
	}
	return first(readable(section+".certificate", certificate), readable(section+".key", key))
}

func (c *Config) checkHouse() error {
	if c.Data == "" {
		return fmt.Errorf("data: wants the path of a folder")
	}
	return first(
		within("drain", c.Drain, time.Second, time.Hour),
		within("max_participants", c.MaxParticipants, 0, 100000),
		oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error"),
		oneOf("log.format", c.Log.Format, "text", "json"),
		listenAddress("admin.listen", c.Admin.Listen),
	)
}

func (c *Config) checkWeb() error {
	w := &c.Web
	if !w.Enabled {
		return nil
	}
	err := first(
		listenAddress("web.listen", w.Listen),
		httpURL("web.public_url", w.PublicURL),
		certificate("web.tls", w.TLS.Certificate, w.TLS.Key),
		httpURL("web.acme.directory", w.ACME.Directory),
		optionalAddress("web.media_udp", w.MediaUDP),
		optionalAddress("web.media_tcp", w.MediaTCP),
		ipAddresses("web.public_ips", w.PublicIPs...),
		oneOf("web.recordings_role", w.RecordingsRole, "listener", "speaker", "moderator", "host"),
	)
	if err != nil {
		return err
	}
	if w.Listen == c.Admin.Listen && !strings.HasSuffix(w.Listen, ":0") {
		return fmt.Errorf("web.listen: %s is already admin.listen", w.Listen)
	}
	if len(w.ACME.Domains) > 0 && w.TLS.Certificate != "" {
		return fmt.Errorf("web.acme.domains: web.tls.certificate is set too; choose one")
	}
	encrypted := len(w.ACME.Domains) > 0 || w.TLS.Certificate != ""
	if n := len(w.JoinSecret); n > 0 && n < 16 {
		return fmt.Errorf("web.join_secret: wants at least 16 characters")
	}
	if !encrypted && !w.PlainHTTP && beyondLoopback(w.Listen) {
		return fmt.Errorf("web.listen: %s is beyond loopback without TLS: set web.tls or web.acme, or web.plain_http: true behind a proxy that encrypts", w.Listen)
	}
	for _, o := range w.Origins {
		u, err := url.Parse(o)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("web.origins: %q is no origin such as https://meet.example.org", o)
		}
	}
	for _, p := range w.TrustedProxies {
		_, badPrefix := netip.ParsePrefix(p)
		if _, err := netip.ParseAddr(p); err != nil && badPrefix != nil {
			return fmt.Errorf("web.trusted_proxies: %q is neither an IP address nor a network such as 10.0.0.0/8", p)
		}
	}
	for _, s := range w.ICE.Servers {
		if !regexp.MustCompile(`^(stuns?|turns?):[^\s]+$`).MatchString(s) {
			return fmt.Errorf("web.ice.servers: %q is no STUN or TURN address such as turn:turn.example.org:3478", s)
		}
	}
	return nil
}

// beyondLoopback reports whether an address is for others than this machine. One
// without a host is not: there the door keeps to loopback by itself until it has TLS.
func beyondLoopback(listen string) bool {
	host, _, _ := net.SplitHostPort(listen)
	ip, err := netip.ParseAddr(host)
	return err == nil && !ip.IsLoopback() && !ip.IsUnspecified()
}

func httpURL(key, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return fmt.Errorf("%s: %q is no web address such as https://meet.example.org", key, value)
	}
	return nil
}

func (c *Config) checkSIP() error {
	s := &c.SIP
	if !s.Enabled {
		return nil
	}
	err := first(
		optionalAddress("sip.udp", s.UDP),
		optionalAddress("sip.tcp", s.TCP),
		optionalAddress("sip.tls", s.TLS),
	)
	if err != nil {
		return err
	}
	if s.UDP == "" && s.TCP == "" && s.TLS == "" {
		return fmt.Errorf("sip.udp: with sip.tcp and sip.tls empty too, nobody can call; set one, or sip.enabled: false")
	}
	if s.ExternalIP != "" {
		if err := ipAddresses("sip.external_ip", s.ExternalIP); err != nil {
			return err
		}
	}
	err = first(
		certificate("sip", s.Certificate, s.Key),
		within("sip.rtp.min", s.RTP.Min, 1024, 65535),
		within("sip.rtp.max", s.RTP.Max, 1024, 65535),
		oneOf("sip.srtp", s.SRTP, "off", "optional", "required"),
		within("sip.media_timeout", s.MediaTimeout, 0, 24*time.Hour),
	)
	if err != nil {
		return err
	}
	if s.RTP.Max < s.RTP.Min+3 {
		return fmt.Errorf("sip.rtp.max: %d leaves no room above sip.rtp.min %d: a call takes up to four ports", s.RTP.Max, s.RTP.Min)
	}
	for _, name := range sortedKeys(s.Trunks) {
		t, key := s.Trunks[name], "sip.trunks."+name
		if t.Registrar == "" {
			return fmt.Errorf("%s.registrar: wants the registrar's host, such as sip.example.org", key)
		}
		if t.Username == "" {
			return fmt.Errorf("%s.username: wants the account's user name", key)
		}
		err := first(
			oneOf(key+".transport", t.Transport, "udp", "tcp", "tls"),
			within(key+".expiry", t.Expiry, time.Minute, 24*time.Hour),
		)
		if err != nil {
			return err
		}
		if _, ok := c.Rooms[t.Room]; t.Room != "" && !ok {
			return fmt.Errorf("%s.room: there is no room %q", key, t.Room)
		}
	}
	return nil
}

func (c *Config) checkJami() error {
	if !c.Jami.Enabled {
		return nil
	}
	for _, b := range c.Jami.Bootstrap {
		if strings.ContainsAny(b, " /") || b == "" {
			return fmt.Errorf("jami.bootstrap: %q is no host:port", b)
		}
	}
	return within("jami.dht_port", c.Jami.DHTPort, 0, 65535)
}

func (c *Config) checkMedia() error {
	m := &c.Media
	width, height, err := Dimensions(m.Canvas)
	if err != nil {
		return fmt.Errorf("media.canvas: %w", err)
	}
	if len(m.Rungs) == 0 || len(m.Rungs) > 8 {
		return fmt.Errorf("media.rungs: wants 1 to 8 qualities, not %d", len(m.Rungs))
	}
	for i, text := range m.Rungs {
		r, err := ParseRung(text)
		if err != nil {
			return fmt.Errorf("media.rungs: %w", err)
		}
		if r.Width > width || r.Height > height {
			return fmt.Errorf("media.rungs: %s is larger than media.canvas %s", text, m.Canvas)
		}
		if i > 0 {
			if above, _ := ParseRung(m.Rungs[i-1]); above.Bitrate < r.Bitrate {
				return fmt.Errorf("media.rungs: %s comes after %s; the best goes first", text, m.Rungs[i-1])
			}
		}
	}
	return first(
		within("media.fps", m.FPS, 1, 60),
		within("media.opus_bitrate", m.Opus, 6000, 256000),
		within("media.jitter_max", m.JitterMax, 40*time.Millisecond, 2*time.Second),
	)
}

// Dimensions reads WIDTHxHEIGHT: even numbers of pixels.
func Dimensions(text string) (width, height int, err error) {
	w, h, ok := strings.Cut(text, "x")
	width, errW := strconv.Atoi(w)
	height, errH := strconv.Atoi(h)
	if !ok || errW != nil || errH != nil {
		return 0, 0, fmt.Errorf("%q is no size such as 1280x720", text)
	}
	if width < 160 || width > 3840 || height < 90 || height > 2160 || width%2 != 0 || height%2 != 0 {
		return 0, 0, fmt.Errorf("%s: wants even numbers between 160x90 and 3840x2160", text)
	}
	return width, height, nil
}

// Rung is one quality of the picture.
type Rung struct {
	Width, Height, FPS, Bitrate int // pixels, frames per second, bit/s
}

// ParseRung reads WIDTHxHEIGHT@FPS:BITRATE, the bit rate with k or M: 640x360@30:600k.
func ParseRung(text string) (Rung, error) {
	bad := fmt.Errorf("%q is no quality such as 640x360@30:600k", text)
	dims, rest, ok := strings.Cut(text, "@")
	fps, rate, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 {
		return Rung{}, bad
	}
	var r Rung
	var err error
	if r.Width, r.Height, err = Dimensions(dims); err != nil {
		return Rung{}, err
	}
	if r.FPS, err = strconv.Atoi(fps); err != nil || r.FPS < 1 || r.FPS > 60 {
		return Rung{}, bad
	}
	factor := 1.0
	if n, found := strings.CutSuffix(rate, "k"); found {
		rate, factor = n, 1e3
	} else if n, found := strings.CutSuffix(rate, "M"); found {
		rate, factor = n, 1e6
	}
	n, err := strconv.ParseFloat(rate, 64)
	if err != nil || !(n*factor >= 30e3 && n*factor <= 50e6) {
		return Rung{}, fmt.Errorf("%q: wants a bit rate between 30k and 50M", text)
	}
	r.Bitrate = int(n * factor)
	return r, nil
}

func (c *Config) checkRecordings() error {
	r := &c.Recordings
	if r.Dir == "" {
		return fmt.Errorf("recordings.dir: wants the path of a folder")
	}
	if r.MaxAge < 0 {
		return fmt.Errorf("recordings.max_age: cannot be negative")
	}
	return first(
		within("recordings.fragment", r.Fragment, 200*time.Millisecond, 2*time.Second),
		within("recordings.min_free", r.MinFree, 0, 1<<50),
		within("recordings.max_size", r.MaxSize, 0, 1<<60),
	)
}

// Scopes are what a token of the control API can be limited to.
var Scopes = []string{"rooms:read", "rooms:write", "orders", "chat", "recordings:read", "recordings:write"}

func (c *Config) checkTokens() error {
	for _, name := range sortedKeys(c.API.Tokens) {
		t, key := c.API.Tokens[name], "api.tokens."+name
		if len(t.Secret) < 16 {
			return fmt.Errorf("%s.secret: wants at least 16 characters", key)
		}
		for _, scope := range t.Scopes {
			if err := oneOf(key+".scopes", scope, Scopes...); err != nil {
				return err
			}
		}
		for _, id := range t.Rooms {
			if !validName.MatchString(id) {
				return fmt.Errorf("%s.rooms: %q is no room id", key, id)
			}
		}
	}
	return nil
}

func (c *Config) checkPeople() error {
	taken := map[string]string{}
	for _, name := range sortedKeys(c.People) {
		key := "people." + name + ".identities"
		for _, identity := range c.People[name].Identities {
			if err := checkIdentity(key, identity); err != nil {
				return err
			}
			if other, twice := taken[identity]; twice {
				return fmt.Errorf("%s: %s is %q already", key, identity, other)
			}
			taken[identity] = name
		}
	}
	return nil
}

func checkIdentity(key, identity string) error {
	if !identities.MatchString(identity) {
		return fmt.Errorf("%s: %q is no identity such as jami:<40 hex digits>, sip:user@host or web:<subject>", key, identity)
	}
	return nil
}

func (c *Config) checkRooms() error {
	numbers := map[string]string{}
	for _, id := range sortedKeys(c.Rooms) {
		r, key := c.Rooms[id], "rooms."+id
		if err := r.Check(); err != nil {
			return fmt.Errorf("%s.%w", key, err)
		}
		if r.Number == "" {
			continue
		}
		if other, taken := numbers[r.Number]; taken {
			return fmt.Errorf("%s.number: %s is the number of room %q already", key, r.Number, other)
		}
		numbers[r.Number] = id
	}
	return nil
}

// Check refuses impossible values of a room; the error begins with the key.
func (r *Room) Check() error {
	err := first(
		digits("number", r.Number),
		digits("pin", r.PIN),
		digits("moderator_pin", r.ModeratorPIN),
		oneOf("layout", r.Layout, "grid", "one-big", "one-big-with-small", "side-by-side"),
		within("max_participants", r.MaxParticipants, 0, 10000),
		within("max_duration", r.MaxDuration, 0, 30*24*time.Hour),
		within("lobby_timeout", r.LobbyTimeout, 10*time.Second, 24*time.Hour),
		within("host_grace", r.HostGrace, 0, time.Hour),
		moment("from", r.From),
		moment("until", r.Until),
		oneOf("recording", r.Recording, "off", "on-demand", "auto", "always"),
		oneOf("roles.default", r.Roles.Default, "listener", "speaker"),
		oneOf("jami.calls", r.Jami.Calls, "public", "contacts", "allow", "request"),
	)
	if err != nil {
		return err
	}
	if r.PIN != "" && r.PIN == r.ModeratorPIN {
		return fmt.Errorf("moderator_pin: is the same as pin; everybody would be a moderator")
	}
	if from, until := Moment(r.From), Moment(r.Until); !from.IsZero() && !until.IsZero() && !until.After(from) {
		return fmt.Errorf("until: %s is not after from", r.Until)
	}
	if len(r.Title) > 200 {
		return fmt.Errorf("title: is longer than 200 bytes")
	}
	given := map[string]string{}
	for _, role := range []struct {
		name string
		who  []string
	}{
		{"host", r.Roles.Host}, {"moderator", r.Roles.Moderator}, {"speaker", r.Roles.Speaker},
		{"listener", r.Roles.Listener}, {"observer", r.Roles.Observer},
	} {
		for _, identity := range role.who {
			if err := checkIdentity("roles."+role.name, identity); err != nil {
				return err
			}
			if other, twice := given[identity]; twice {
				return fmt.Errorf("roles.%s: %s has the role %s already", role.name, identity, other)
			}
			given[identity] = role.name
		}
	}
	for _, id := range r.Jami.Allow {
		if !validJami.MatchString(id) {
			return fmt.Errorf("jami.allow: %q is no Jami id of 40 hex digits", id)
		}
	}
	return nil
}

func digits(key, value string) error {
	if !validPIN.MatchString(value) {
		return fmt.Errorf("%s: wants at most 16 digits, which a phone can dial", key)
	}
	return nil
}

func moment(key, value string) error {
	if value != "" && Moment(value).IsZero() {
		return fmt.Errorf("%s: %q is no point in time such as 2026-12-24T18:00:00+01:00", key, value)
	}
	return nil
}

// Moment reads a point in time (RFC 3339); zero for "" and for what is none.
func Moment(text string) time.Time {
	t, _ := time.Parse(time.RFC3339, text)
	return t
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
