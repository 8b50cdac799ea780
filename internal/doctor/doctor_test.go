package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rendezvous/dht"
	"rendezvous/internal/config"
	"rendezvous/internal/datadir"
)

// phoneBook is a DNS of few names.
type phoneBook map[string]string

func (b phoneBook) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ip, ok := b[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr(ip)}, nil
}

// settings are the defaults, on any free ports, with nothing outside of the machine.
func settings(t *testing.T) *config.Config {
	t.Helper()
	defaults := config.Default()
	cfg := &defaults
	cfg.Data = t.TempDir()
	cfg.Admin.Listen, cfg.Web.Listen, cfg.Web.MediaUDP, cfg.SIP.Enabled = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", false
	cfg.Web.ICE.Servers, cfg.Jami.STUN, cfg.Jami.Bootstrap = nil, nil, nil
	cfg.Recordings.MinFree = 1
	return cfg
}

// certificateFor writes a certificate that ends at until, and its key, in one file.
func certificateFor(t *testing.T, name string, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: until.AddDate(0, -3, 0), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "certificate.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

func of(check string, findings []Finding) []Finding {
	var out []Finding
	for _, f := range findings {
		if f.Check == check {
			out = append(out, f)
		}
	}
	return out
}

// A host with five faults: all are found, and nothing else is called one.
func TestFiveFaults(t *testing.T) {
	cfg := settings(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()

	cfg.Web.PublicURL = "https://meet.example.org"
	cfg.Web.Listen = taken.Addr().String()
	cfg.Web.TLS.Certificate = certificateFor(t, "meet.example.org", time.Now().AddDate(0, 0, -2))
	cfg.Web.TLS.Key = cfg.Web.TLS.Certificate
	cfg.Recordings.MinFree = 1 << 60
	cfg.Jami.Bootstrap = []string{silent.LocalAddr().String()}

	findings := Examination{Config: cfg, Wait: 500 * time.Millisecond, Resolver: phoneBook{}}.Run(t.Context())
	var faults []string
	for _, f := range findings {
		require.NotEmpty(t, f.Says)
		if f.State != Good {
			require.NotEmpty(t, f.Do, f.Says)
		}
		if f.State == Fault {
			faults = append(faults, f.Check+": "+f.Says)
		}
	}
	require.Len(t, faults, 5, "%v", findings)
	require.Equal(t, 5, Faults(findings))
	for i, want := range []string{
		"names: meet.example.org (web.public_url): there is no such name in the DNS",
		"ports: web.listen (" + cfg.Web.Listen + "/tcp) is taken by another program",
		"certificates: web.tls.certificate has ended on ",
		"disk: recordings.dir: ",
		"dht: the Jami network is not reached through " + silent.LocalAddr().String(),
	} {
		require.True(t, strings.HasPrefix(faults[i], want), "%q does not begin with %q", faults[i], want)
	}
}

// A machine that is well has no faults, and what can be told of it is.
func TestWell(t *testing.T) {
	cfg := settings(t)
	node, err := dht.New(dht.Config{IPv4: "127.0.0.1:0"})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	defer node.Close()
	cfg.Jami.Bootstrap = []string{node.Addrs()[0].String()}
	cfg.Web.PublicURL = "https://meet.example.org"
	cfg.Web.PublicIPs = []string{"192.0.2.1"}
	cfg.Web.TLS.Certificate = certificateFor(t, "meet.example.org", time.Now().AddDate(0, 1, 0))
	cfg.Web.TLS.Key = cfg.Web.TLS.Certificate
	cfg.Jami.STUN = []string{stunServer(t, "192.0.2.1"), stunServer(t, "192.0.2.1")}

	findings := Examination{Config: cfg, Wait: 10 * time.Second, Resolver: phoneBook{"meet.example.org": "192.0.2.1"}}.Run(t.Context())
	require.Zero(t, Faults(findings), "%v", findings)
	require.Equal(t, "meet.example.org (web.public_url) is 192.0.2.1, this machine", of("names", findings)[0].Says)
	require.Equal(t, "the internet sees 192.0.2.1, as the configuration or this machine has it", of("stun", findings)[0].Says)
	require.Contains(t, of("dht", findings)[0].Says, "the Jami network is reached, ")
	require.Contains(t, of("certificates", findings)[0].Says, "others will not believe it", "nobody has signed it")
	entries, err := os.ReadDir(cfg.Data)
	require.NoError(t, err)
	require.Empty(t, entries, "it leaves nothing behind")
}

func TestNames(t *testing.T) {
	cfg := settings(t)
	cfg.SIP.Enabled, cfg.SIP.RTP = true, config.Ports{}
	cfg.Web.PublicURL, cfg.SIP.External, cfg.SIP.Domains = "https://a.example.org:8443/x", "b.example.org", []string{"a.example.org", "192.0.2.9"}
	x := Examination{Config: cfg, Wait: time.Second, Resolver: phoneBook{"a.example.org": "198.51.100.7", "b.example.org": "127.0.0.1"}}
	got := of("names", x.Run(t.Context()))
	require.Len(t, got, 2, "each once, and no addresses")
	require.Equal(t, Doubt, got[0].State)
	require.Equal(t, "a.example.org (web.public_url) is 198.51.100.7, which is no address of this machine", got[0].Says)
	require.Contains(t, got[1].Says, "is 127.0.0.1 here")
}

func TestCertificates(t *testing.T) {
	cfg := settings(t)
	p := &patient{Examination: Examination{Config: cfg, Now: time.Now}}
	file := certificateFor(t, "meet.example.org", time.Now().AddDate(0, 0, 5))
	require.Equal(t, Fault, p.certificate("x", file, file, "other.example.org").State)
	require.Equal(t, Fault, p.certificate("x", "none.pem", file, "").State)
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("nonsense"), 0o600))
	require.Contains(t, p.certificate("x", broken, broken, "").Do, "PEM")
	p.Now = func() time.Time { return time.Now().AddDate(-1, 0, 0) }
	require.Contains(t, p.certificate("x", file, file, "").Says, "is valid only from")
}

// By ACME the host gets and renews it: nobody is told to do so.
func TestCertificatesByACME(t *testing.T) {
	cfg := settings(t)
	cfg.Web.ACME.Domains = []string{"Meet.example.org"}
	p := &patient{Examination: Examination{Config: cfg, Now: time.Now}}
	look := func() Finding {
		t.Helper()
		findings := p.certificates(t.Context())
		require.Len(t, findings, 1)
		return findings[0]
	}
	require.Equal(t, good("Meet.example.org: a certificate will be asked for when the host starts"), look())
	p.running = true
	require.Equal(t, Doubt, look().State)
	require.Equal(t, "Meet.example.org: the running host has no certificate yet", look().Says)

	text, err := os.ReadFile(certificateFor(t, "meet.example.org", time.Now().AddDate(0, 0, -2)))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(cfg.Data, "acme"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(cfg.Data, "acme", "meet.example.org"), text, 0o600))
	require.Equal(t, Fault, look().State)
	require.Contains(t, look().Do, "journalctl")
	p.running = false
	require.Equal(t, Doubt, look().State, "the host asks for another one when it starts")
}

// Phones are shown the page's certificate, which must be for the name they call.
func TestCertificateOfPhones(t *testing.T) {
	cfg := settings(t)
	cfg.Web.TLS.Certificate = certificateFor(t, "meet.example.org", time.Now().AddDate(0, 1, 0))
	cfg.Web.TLS.Key = cfg.Web.TLS.Certificate
	cfg.SIP.Enabled, cfg.SIP.TLS, cfg.SIP.External = true, ":5061", "meet.example.org"
	p := &patient{Examination: Examination{Config: cfg, Now: time.Now}}
	require.Len(t, p.certificates(t.Context()), 1, "one for both")

	cfg.SIP.Domains = []string{"phones.example.org"}
	got := p.certificates(t.Context())
	require.Len(t, got, 2)
	require.Equal(t, Doubt, got[1].State)
	require.Contains(t, got[1].Says, "phones: the page's certificate is not for phones.example.org")

	cfg.Web.TLS = config.TLS{}
	cfg.Web.ACME.Domains = []string{"meet.example.org"}
	require.Contains(t, p.certificates(t.Context())[1].Says, "phones: the page's certificate is not for phones.example.org")
	cfg.SIP.Domains = []string{"meet.example.org"}
	require.Len(t, p.certificates(t.Context()), 1)
	cfg.Web.ACME.Domains = nil
	require.Contains(t, p.certificates(t.Context())[1].Says, "self-signed")
}

// What may not be looked at is not said to be well, nor ill.
func TestStranger(t *testing.T) {
	cfg := settings(t)
	dir, err := datadir.Open(cfg.Data)
	require.NoError(t, err)
	defer dir.Close()
	p := &patient{Examination: Examination{Config: cfg, Now: time.Now, Wait: time.Second}}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(65534)
	require.NoError(t, err)
	p.running, p.hidden = p.isRunning()
	_, err = unix.SetfsuidRetUid(before)
	require.NoError(t, err)
	got := p.host(t.Context())
	require.Len(t, got, 1)
	require.Equal(t, Doubt, got[0].State)
	require.Contains(t, got[0].Says, "whether a host runs cannot be told")

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	l := listener{"web.listen", "tcp", taken.Addr().String()}
	require.Equal(t, Doubt, p.port(t.Context(), l, "x").State, "it may be the host that has it")
	p.hidden = nil
	require.Equal(t, Fault, p.port(t.Context(), l, "x").State)
}

// A port that the service may have, and who asks may not, keeps nobody from meeting.
func TestPortOfTheService(t *testing.T) {
	p := &patient{Examination: Examination{Config: settings(t)}}
	got := p.refused(listener{"web.listen", "tcp", ":443"}, "web.listen (:443/tcp)", &net.OpError{Err: os.NewSyscallError("bind", syscall.EACCES)})
	require.Equal(t, Doubt, got.State)
	require.Contains(t, got.Do, "CAP_NET_BIND_SERVICE")
}

// Behind NAT every door must know the address that the internet sees.
func TestBehindNAT(t *testing.T) {
	cfg := settings(t)
	cfg.Jami.STUN = []string{stunServer(t, "203.0.113.5")}
	cfg.SIP.Enabled, cfg.SIP.RTP, cfg.SIP.UDP, cfg.SIP.TCP, cfg.SIP.TLS = true, config.Ports{}, "127.0.0.1:0", "", ""
	cfg.Web.PublicIPs = []string{"203.0.113.5"}
	x := Examination{Config: cfg, Wait: 5 * time.Second, Resolver: phoneBook{}}
	got := of("stun", x.Run(t.Context()))
	require.Len(t, got, 1)
	require.Equal(t, Doubt, got[0].State)
	require.Equal(t, "the internet sees 203.0.113.5, which this machine does not have and sip.external does not say", got[0].Says)
	cfg.SIP.External = "203.0.113.5"
	require.Equal(t, Good, of("stun", x.Run(t.Context()))[0].State)
}

// stunServer answers that whoever asks has an address; the port is the one they have.
func stunServer(t *testing.T, says string) string {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			m := &stun.Message{Raw: b[:n]}
			if m.Decode() != nil {
				continue
			}
			answer := stun.MustBuild(m, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.ParseIP(says), Port: int(from.Port())})
			_, _ = c.WriteToUDPAddrPort(answer.Raw, from)
		}
	}()
	return c.LocalAddr().String()
}

func TestDoorsThatDoNotKnowTheirAddress(t *testing.T) {
	cfg := settings(t)
	cfg.Web.ICE.Servers = []string{"stun:" + stunServer(t, "203.0.113.5"), "turn:turn.example.org"}
	x := Examination{Config: cfg, Wait: 5 * time.Second, Resolver: phoneBook{}}
	got := of("stun", x.Run(t.Context()))
	require.Len(t, got, 1)
	require.Equal(t, Doubt, got[0].State)
	require.Contains(t, got[0].Do, "web.public_ips: [203.0.113.5]")

	cfg.Jami.STUN = []string{stunServer(t, "203.0.113.6")}
	got = of("stun", x.Run(t.Context()))
	require.Contains(t, got[0].Says, "gives each destination another port")

	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	cfg.Web.ICE.Servers, cfg.Jami.STUN = nil, []string{silent.LocalAddr().String(), "nowhere.example.org:1"}
	x.Wait = 300 * time.Millisecond
	got = of("stun", x.Run(t.Context()))
	require.Len(t, got, 2)
	require.Contains(t, got[0].Says, "no answer")
	require.Contains(t, got[1].Says, "no such host")
}

// With a host in the data folder its ports are asked, not tried.
func TestRunning(t *testing.T) {
	cfg := settings(t)
	healthy := "ok\n"
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(healthy)) }))
	defer admin.Close()
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	cfg.Admin.Listen, cfg.Web.Listen, cfg.Jami.Enabled = admin.Listener.Addr().String(), page.Listener.Addr().String(), false
	media, err := net.ListenPacket("udp", ":0")
	require.NoError(t, err)
	defer media.Close()
	cfg.Web.MediaUDP = media.LocalAddr().String()
	dir, err := datadir.Open(cfg.Data)
	require.NoError(t, err)
	defer dir.Close()

	x := Examination{Config: cfg, Wait: 2 * time.Second}
	findings := x.Run(t.Context())
	require.Contains(t, of("host", findings)[0].Says, "and is well")
	require.Len(t, of("ports", findings), 1)
	require.Equal(t, Good, of("ports", findings)[0].State, "%v", findings)

	healthy = "degraded\nroom main: its account lacks a key\n"
	media.Close()
	page.Close()
	findings = x.Run(t.Context())
	require.Equal(t, "the host is degraded: room main: its account lacks a key", of("host", findings)[0].Says)
	ports := of("ports", findings)
	require.Len(t, ports, 3)
	require.Contains(t, ports[0].Says, "nothing answers at web.listen")
	require.Contains(t, ports[1].Says, "nothing listens at web.media_udp")
}
