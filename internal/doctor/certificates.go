package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// renewBefore is how long before its end a certificate should have been renewed.
const renewBefore = 14 * 24 * time.Hour

// certificates reads those of page and phones.
func (p *patient) certificates(context.Context) []Finding {
	c := p.Config
	var out []Finding
	if c.Web.Enabled {
		out = append(out, p.page()...)
	}
	if c.SIP.Enabled && c.SIP.TLS != "" {
		out = append(out, p.phones()...)
	}
	return out
}

// phones reads what phones are shown: a certificate of their own, or the page's, of which all else has been said.
func (p *patient) phones() []Finding {
	s, w := &p.Config.SIP, &p.Config.Web
	name := s.External
	if len(s.Domains) > 0 {
		name = s.Domains[0]
	}
	var names error // why the page's is none for the name
	switch {
	case s.Certificate != "":
		return []Finding{p.certificate("sip.certificate", s.Certificate, s.Key, name)}
	case w.Enabled && len(w.ACME.Domains) > 0:
		names = (&x509.Certificate{DNSNames: w.ACME.Domains}).VerifyHostname(name)
	case w.Enabled && w.TLS.Certificate != "":
		pair, err := tls.LoadX509KeyPair(w.TLS.Certificate, w.TLS.Key)
		if err != nil {
			return nil
		}
		names = pair.Leaf.VerifyHostname(name)
	default:
		return []Finding{doubt("set web.tls or web.acme, or sip.certificate and sip.key; or sip.tls: \"\"", "phones: they are shown a self-signed certificate, which most refuse")}
	}
	if name == "" || names == nil {
		return nil
	}
	return []Finding{doubt("get a certificate for that name as well, or set sip.certificate and sip.key", "phones: the page's certificate is not for %s, by which they call: those that look refuse it", name)}
}

func (p *patient) page() []Finding {
	w := &p.Config.Web
	u, _ := url.Parse(w.PublicURL) // has been checked
	switch {
	case w.TLS.Certificate != "":
		return []Finding{p.certificate("web.tls.certificate", w.TLS.Certificate, w.TLS.Key, u.Hostname())}
	case len(w.ACME.Domains) > 0:
		var out []Finding
		for _, domain := range w.ACME.Domains {
			out = append(out, p.cached(domain))
		}
		return out
	case w.PlainHTTP && u.Scheme == "https":
		return []Finding{good("the page is served without TLS, to the proxy that has %s", u.Host)}
	case w.PlainHTTP:
		return []Finding{doubt("set web.public_url to the https address of the proxy, or give the page a certificate", "the page is served without TLS: browsers will refuse camera and microphone")}
	}
	return []Finding{doubt("set web.tls or web.acme (docs/deploy.md) to let others in", "without a certificate the page is served on this machine alone")}
}

// seeWhy is what to do about a certificate that the host itself gets and does not have.
const seeWhy = "see in its log why: journalctl -u rendezvous; the authority comes to port 443 or 80 of that name"

// cached looks for what ACME has got before. Autocert keeps chain and key in one file that is called like the domain.
func (p *patient) cached(domain string) Finding {
	file := filepath.Join(p.Config.Data, "acme", strings.ToLower(domain))
	_, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrPermission):
		return doubt(p.service(), "%v", err)
	case err != nil && p.running:
		return doubt(seeWhy, "%s: the running host has no certificate yet", domain)
	case err != nil:
		return good("%s: a certificate will be asked for when the host starts", domain)
	}
	f := p.certificate("web.acme", file, file, domain)
	if f.Do != renew {
		return f
	}
	if !p.running {
		return doubt("start it", "%s; the host gets another one while it runs", f.Says)
	}
	f.Do = seeWhy
	return f
}

// renew is what to do about a certificate that somebody else gets.
const renew = "renew it; the host reads the new files by itself"

// certificate reads one and says what is wrong with it for people who reach the host as name; empty: any.
func (p *patient) certificate(setting, certFile, keyFile, name string) Finding {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if errors.Is(err, os.ErrPermission) {
		return fault("let the account of the service read it: chgrp rendezvous, chmod 640", "%s: %v", setting, err)
	}
	if err != nil {
		return fault("a certificate chain and its key, both PEM, are wanted", "%s: %v", setting, err)
	}
	leaf := pair.Leaf
	now, until := p.Now(), leaf.NotAfter.Format("2006-01-02")
	switch {
	case now.After(leaf.NotAfter):
		return fault(renew, "%s has ended on %s", setting, until)
	case now.Before(leaf.NotBefore):
		return fault("see to the clock, or to the certificate", "%s is valid only from %s on", setting, leaf.NotBefore.Format(time.RFC3339))
	}
	if name != "" {
		if err := leaf.VerifyHostname(name); err != nil {
			return fault("get a certificate for that name, or change the name in the configuration", "%s: %v", setting, err)
		}
	}
	pool := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(c)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: pool, CurrentTime: now}); err != nil {
		return doubt("put the certificates of the authority behind it in the file, or have one of an authority that browsers know", "%s: others will not believe it: %v", setting, err)
	}
	if now.Add(renewBefore).After(leaf.NotAfter) {
		return doubt(renew, "%s ends on %s", setting, until)
	}
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o004 != 0 {
		return doubt(fmt.Sprintf("chmod o-r %s", keyFile), "everybody on this machine may read the key of %s", setting)
	}
	return good("%s is valid until %s", setting, until)
}
