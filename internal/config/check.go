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
	voiceName  = regexp.MustCompile(`^[a-zA-Z0-9+-]{0,40}$`)
	turnServer = regexp.MustCompile(`^[^\s:@]+:[^\s@]+@[^\s@/]+:[0-9]+$`)
	sipURI     = regexp.MustCompile(`^sips?:[^\s@<>]+$`)
)

// check refuses values that cannot be. The first one found is the error.
func (c *Config) check() error {
	checks := []func() error{
		c.checkHouse, c.checkWeb, c.checkSIP, c.checkJami, c.checkMedia, c.checkRecordings, c.checkPeople, c.checkRooms, c.checkTokens, c.checkWebhooks,
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

func networks(key string, values []string) error {
	for _, v := range values {
		if _, err := Network(v); err != nil {
			return fmt.Errorf("%s: %q is neither an IP address nor a network such as 10.0.0.0/8", key, v)
		}
	}
	return nil
}

// Network reads a network in CIDR notation, or one address. The error says what is wrong with text.
func Network(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Prefix(ip.BitLen())
	}
	return netip.ParsePrefix(text)
}

func codecs(key string, values []string, known ...string) error {
	for _, v := range values {
		if err := oneOf(key, v, known...); err != nil {
			return err
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
		oneOf("web.recordings_role", w.RecordingsRole, "auto", "listener", "speaker", "moderator", "host"),
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
	for _, o := range w.Embed {
		if !plainOrigin.MatchString(o) {
			return fmt.Errorf("web.embed: %q is no origin such as https://intranet.example.org", o)
		}
	}
	if err := networks("web.trusted_proxies", w.TrustedProxies); err != nil {
		return err
	}
	for _, s := range w.ICE.Servers {
		if !regexp.MustCompile(`^(stuns?|turns?):[^\s]+$`).MatchString(s) {
			return fmt.Errorf("web.ice.servers: %q is no STUN or TURN address such as turn:turn.example.org:3478", s)
		}
	}
	return nil
}

// plainOrigin is the origin of a page (RFC 6454): it goes into a header whose words are separated by spaces and semicolons.
var plainOrigin = regexp.MustCompile(`^https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?$`)

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
	err = first(
		certificate("sip", s.Certificate, s.Key),
		within("sip.rtp.min", s.RTP.Min, 1024, 65535),
		within("sip.rtp.max", s.RTP.Max, 1024, 65535),
		oneOf("sip.srtp", s.SRTP, "off", "optional", "required"),
		within("sip.media_timeout", s.MediaTimeout, time.Second, 24*time.Hour),
		within("sip.hold_timeout", s.HoldTimeout, time.Second, 24*time.Hour),
		within("sip.max_calls", s.MaxCalls, 1, 10000),
		within("sip.dial_per_hour", s.DialPerHour, 0, 100000),
		codecs("sip.audio", s.Audio, "opus", "G722", "PCMA", "PCMU"),
		codecs("sip.video", s.Video, "H264", "VP8"),
		networks("sip.trusted", s.Trusted),
	)
	if err != nil {
		return err
	}
	if s.RTP.Max < s.RTP.Min+3 {
		return fmt.Errorf("sip.rtp.max: %d leaves no room above sip.rtp.min %d: a call takes up to four ports", s.RTP.Max, s.RTP.Min)
	}
	if len(s.Audio) == 0 {
		return fmt.Errorf("sip.audio: wants at least one codec")
	}
	if s.SessionExpires != 0 && s.SessionExpires < 90*time.Second {
		return fmt.Errorf("sip.session_expires: %s is less than the 90s that RFC 4028 allows; 0s asks for none", s.SessionExpires)
	}
	for _, name := range sortedKeys(s.Users) {
		if len(s.Users[name].Password) < minPassword {
			return fmt.Errorf("sip.users.%s.password: wants at least %d characters: whoever reaches the port may try", name, minPassword)
		}
	}
	return c.checkTrunks()
}

// minPassword is the least length of a SIP user's password.
const minPassword = 10

// telephone is a number as people write it.
var telephone = regexp.MustCompile(`^\+?[0-9][0-9 ()/.-]{1,30}$`)

func (c *Config) checkTrunks() error {
	for _, name := range sortedKeys(c.SIP.Trunks) {
		t, key := c.SIP.Trunks[name], "sip.trunks."+name
		if !sipURI.MatchString(t.Registrar) {
			return fmt.Errorf("%s.registrar: %q is no SIP address such as sip:sip.example.org;transport=tcp", key, t.Registrar)
		}
		if t.Number != "" && !telephone.MatchString(t.Number) {
			return fmt.Errorf("%s.number: %q is no telephone number such as +49 30 123456", key, t.Number)
		}
		if t.Username == "" {
			return fmt.Errorf("%s.username: wants the account's user name", key)
		}
		if err := within(key+".expiry", t.Expiry, time.Minute, 24*time.Hour); err != nil {
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
	j := &c.Jami
	for _, l := range []struct {
		key  string
		list []string
	}{{"jami.bootstrap", j.Bootstrap}, {"jami.stun", j.STUN}} {
		for _, text := range l.list {
			if _, _, err := net.SplitHostPort(text); err != nil {
				return fmt.Errorf("%s: %q is no host:port", l.key, text)
			}
		}
	}
	for _, text := range j.TURN {
		if !turnServer.MatchString(text) {
			return fmt.Errorf("jami.turn: wants user:password@host:port") // without the value: it is a password
		}
	}
	if (j.RTP.Min == 0) != (j.RTP.Max == 0) || j.RTP.Max < j.RTP.Min {
		return fmt.Errorf("jami.rtp.max: %d is no end of a range from %d", j.RTP.Max, j.RTP.Min)
	}
	return first(
		within("jami.dht_port", j.DHTPort, 0, 65535),
		within("jami.tcp_port", j.TCPPort, 0, 65535),
		within("jami.rtp.min", j.RTP.Min, 0, 65535),
		within("jami.rtp.max", j.RTP.Max, 0, 65535),
		ipAddresses("jami.public_ips", j.PublicIPs...),
	)
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
		readable("recordings.key_file", r.KeyFile),
		within("recordings.fragment", r.Fragment, 200*time.Millisecond, 2*time.Second),
		within("recordings.min_free", r.MinFree, 0, 1<<50),
		within("recordings.max_size", r.MaxSize, 0, 1<<60),
	)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
