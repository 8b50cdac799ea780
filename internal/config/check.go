package config

import (
	"errors"
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
	iceServer  = regexp.MustCompile(`^(stuns?|turns?):[^\s]+$`)
	hostName   = regexp.MustCompile(`^[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+$`) // others in their ASCII form, "xn--…"
)

// check refuses values that cannot be. The error joins one for each, which begins with the key and a colon.
func (c *Config) check() error {
	return errors.Join(
		c.checkHouse(), c.checkWeb(), c.checkSIP(), c.checkJami(), c.checkMedia(), c.checkRecordings(),
		c.checkPeople(), c.checkRooms(), c.checkTokens(), c.checkWebhooks(),
	)
}

// each joins what is wrong with the values of a list.
func each(values []string, check func(string) error) error {
	var errs []error
	for _, v := range values {
		errs = append(errs, check(v))
	}
	return errors.Join(errs...)
}

// unless is an error if something is not so.
func unless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
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

func ipAddresses(key string, values []string) error {
	return each(values, func(v string) error {
		_, err := netip.ParseAddr(v)
		return unless(err == nil, "%s: %q is no IP address", key, v)
	})
}

func networks(key string, values []string) error {
	return each(values, func(v string) error {
		_, err := Network(v)
		return unless(err == nil, "%s: %q is neither an IP address nor a network such as 10.0.0.0/8", key, v)
	})
}

func allOf(key string, values []string, allowed ...string) error {
	return each(values, func(v string) error { return oneOf(key, v, allowed...) })
}

// Network reads a network in CIDR notation, or one address. The error says what is wrong with text.
func Network(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Prefix(ip.BitLen())
	}
	return netip.ParsePrefix(text)
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
	return errors.Join(readable(section+".certificate", certificate), readable(section+".key", key))
}

func (c *Config) checkHouse() error {
	return errors.Join(
		unless(c.Data != "", "data: wants the path of a folder"),
		within("drain", c.Drain, time.Second, time.Hour),
		within("max_participants", c.MaxParticipants, 0, 100000),
		oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error"),
		oneOf("log.format", c.Log.Format, "text", "json"),
		listenAddress("admin.listen", c.Admin.Listen),
		httpURL("telemetry.endpoint", c.Telemetry.Endpoint),
	)
}

func (c *Config) checkWeb() error {
	w := &c.Web
	if !w.Enabled {
		return nil
	}
	encrypted := len(w.ACME.Domains) > 0 || w.TLS.Certificate != ""
	return errors.Join(
		listenAddress("web.listen", w.Listen),
		unless(w.Listen != c.Admin.Listen || strings.HasSuffix(w.Listen, ":0"), "web.listen: %s is already admin.listen", w.Listen),
		unless(encrypted || w.PlainHTTP || !beyondLoopback(w.Listen),
			"web.listen: %s is beyond loopback without TLS: set web.tls or web.acme, or web.plain_http: true behind a proxy that encrypts", w.Listen),
		httpURL("web.public_url", w.PublicURL),
		certificate("web.tls", w.TLS.Certificate, w.TLS.Key),
		c.checkACME(),
		optionalAddress("web.media_udp", w.MediaUDP),
		optionalAddress("web.media_tcp", w.MediaTCP),
		ipAddresses("web.public_ips", w.PublicIPs),
		unless(len(w.JoinSecret) == 0 || len(w.JoinSecret) >= 16, "web.join_secret: wants at least 16 characters"),
		oneOf("web.recordings_role", w.RecordingsRole, "auto", "listener", "speaker", "moderator", "host"),
		each(w.Origins, func(o string) error {
			u, err := url.Parse(o)
			ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && strings.Trim(u.Path, "/") == ""
			return unless(ok, "web.origins: %q is no origin such as https://meet.example.org", o)
		}),
		each(w.Embed, func(o string) error {
			return unless(plainOrigin.MatchString(o), "web.embed: %q is no origin such as https://intranet.example.org", o)
		}),
		networks("web.trusted_proxies", w.TrustedProxies),
		each(w.ICE.Servers, func(s string) error {
			return unless(iceServer.MatchString(s), "web.ice.servers: %q is no STUN or TURN address such as turn:turn.example.org:3478", s)
		}),
	)
}

// checkACME refuses what no certificate could be had with. The authority comes to port 443 (tls-alpn-01, RFC 8737) or to
// port 80 (http-01, RFC 8555 section 8.3) of the names. A router may lead them elsewhere: that people come to port 443 says
// web.public_url.
func (c *Config) checkACME() error {
	w, a := &c.Web, &c.Web.ACME
	if len(a.Domains) == 0 {
		return unless(a.HTTP == "", "web.acme.http: wants web.acme.domains, the names to get certificates for")
	}
	public := w.PublicURL
	if public == "" {
		_, port, _ := net.SplitHostPort(w.Listen)
		public = "https://host:" + port
	}
	u, err := url.Parse(public)
	secure := err == nil && u.Scheme == "https" && (u.Port() == "" || u.Port() == "443")
	return errors.Join(
		each(a.Domains, func(name string) error {
			return unless(hostName.MatchString(name), "web.acme.domains: %q is no name such as meet.example.org", name)
		}),
		httpURL("web.acme.directory", a.Directory),
		optionalAddress("web.acme.http", a.HTTP),
		unless(a.HTTP == "" || a.HTTP != w.Listen, "web.acme.http: %s is already web.listen", a.HTTP),
		unless(w.TLS.Certificate == "", "web.acme.domains: web.tls.certificate is set too; choose one"),
		unless(secure || a.HTTP != "", "web.acme.domains: the certificate authority comes to port 443, and web.listen is %s: "+
			"listen on :443, or set web.public_url to https://%s where a router leads port 443 here, or web.acme.http to :80", w.Listen, a.Domains[0]),
	)
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
	errs := []error{
		optionalAddress("sip.udp", s.UDP),
		optionalAddress("sip.tcp", s.TCP),
		optionalAddress("sip.tls", s.TLS),
		unless(s.UDP != "" || s.TCP != "" || s.TLS != "",
			"sip.udp: with sip.tcp and sip.tls empty too, nobody can call; set one, or sip.enabled: false"),
		certificate("sip", s.Certificate, s.Key),
		within("sip.rtp.min", s.RTP.Min, 1024, 65535),
		within("sip.rtp.max", s.RTP.Max, 1024, 65535),
		unless(s.RTP.Max >= s.RTP.Min+3, "sip.rtp.max: %d leaves no room above sip.rtp.min %d: a call takes up to four ports", s.RTP.Max, s.RTP.Min),
		oneOf("sip.srtp", s.SRTP, "off", "optional", "required"),
		within("sip.media_timeout", s.MediaTimeout, time.Second, 24*time.Hour),
		within("sip.hold_timeout", s.HoldTimeout, time.Second, 24*time.Hour),
		unless(s.SessionExpires == 0 || s.SessionExpires >= 90*time.Second,
			"sip.session_expires: %s is less than the 90s that RFC 4028 allows; 0s asks for none", s.SessionExpires),
		within("sip.max_calls", s.MaxCalls, 1, 10000),
		within("sip.dial_per_hour", s.DialPerHour, 0, 100000),
		unless(len(s.Audio) > 0, "sip.audio: wants at least one codec"),
		allOf("sip.audio", s.Audio, "opus", "G722", "PCMA", "PCMU"),
		allOf("sip.video", s.Video, "H264", "VP8"),
		networks("sip.trusted", s.Trusted),
	}
	for _, name := range sortedKeys(s.Users) {
		errs = append(errs, unless(len(s.Users[name].Password) >= minPassword,
			"sip.users.%s.password: wants at least %d characters: whoever reaches the port may try", name, minPassword))
	}
	return errors.Join(append(errs, c.checkTrunks())...)
}

// minPassword is the least length of a SIP user's password.
const minPassword = 10

// telephone is a number as people write it.
var telephone = regexp.MustCompile(`^\+?[0-9][0-9 ()/.-]{1,30}$`)

func (c *Config) checkTrunks() error {
	var errs []error
	for _, name := range sortedKeys(c.SIP.Trunks) {
		t, key := c.SIP.Trunks[name], "sip.trunks."+name
		_, hasRoom := c.Rooms[t.Room]
		errs = append(errs,
			unless(sipURI.MatchString(t.Registrar), "%s.registrar: %q is no SIP address such as sip:sip.example.org;transport=tcp", key, t.Registrar),
			unless(t.Number == "" || telephone.MatchString(t.Number), "%s.number: %q is no telephone number such as +49 30 123456", key, t.Number),
			unless(t.Username != "", "%s.username: wants the account's user name", key),
			within(key+".expiry", t.Expiry, time.Minute, 24*time.Hour),
			unless(t.Room == "" || hasRoom, "%s.room: there is no room %q", key, t.Room),
		)
	}
	return errors.Join(errs...)
}

func (c *Config) checkJami() error {
	if !c.Jami.Enabled {
		return nil
	}
	j := &c.Jami
	return errors.Join(
		hostPorts("jami.bootstrap", j.Bootstrap),
		hostPorts("jami.stun", j.STUN),
		each(j.TURN, func(text string) error {
			return unless(turnServer.MatchString(text), "jami.turn: wants user:password@host:port") // without the value: it is a password
		}),
		unless((j.RTP.Min == 0) == (j.RTP.Max == 0) && j.RTP.Max >= j.RTP.Min, "jami.rtp.max: %d is no end of a range from %d", j.RTP.Max, j.RTP.Min),
		within("jami.dht_port", j.DHTPort, 0, 65535),
		within("jami.tcp_port", j.TCPPort, 0, 65535),
		within("jami.rtp.min", j.RTP.Min, 0, 65535),
		within("jami.rtp.max", j.RTP.Max, 0, 65535),
		ipAddresses("jami.public_ips", j.PublicIPs),
	)
}

func hostPorts(key string, values []string) error {
	return each(values, func(text string) error {
		_, _, err := net.SplitHostPort(text)
		return unless(err == nil, "%s: %q is no host:port", key, text)
	})
}

func (c *Config) checkRecordings() error {
	r := &c.Recordings
	return errors.Join(
		unless(r.Dir != "", "recordings.dir: wants the path of a folder"),
		unless(r.MaxAge >= 0, "recordings.max_age: cannot be negative"),
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
