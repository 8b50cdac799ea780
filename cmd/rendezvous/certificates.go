package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/internal/certificate"
	"rendezvous/internal/config"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/web"
)

// certificates are what the host shows browsers and phones: one for both, unless phones have one of their own.
type certificates struct {
	acme  *certificate.ACME             // nil: none
	files map[string]*certificate.Files // by door

	running sync.WaitGroup
	stop    context.CancelFunc // ends what runs; nil: nothing does
}

// openCertificates reads the files, and prepares to ask the authority. The error names the file that is wrong.
func (h *house) openCertificates(cfg *config.Config, reg prometheus.Registerer) error {
	c := &certificates{files: map[string]*certificate.Files{}}
	open := func(door, cert, key string) (err error) {
		c.files[door], err = certificate.OpenFiles(cert, key, h.log.With("door", door))
		return err
	}
	if w := &cfg.Web; w.Enabled && len(w.ACME.Domains) > 0 {
		c.acme = certificate.NewACME(certificate.Authority{
			Names: w.ACME.Domains, Email: w.ACME.Email, Directory: w.ACME.Directory, Dir: h.data.Path("acme"), Log: h.log.With("door", "web"),
		})
	} else if w.Enabled && w.TLS.Certificate != "" {
		if err := open("web", w.TLS.Certificate, w.TLS.Key); err != nil {
			return err
		}
	}
	if s := &cfg.SIP; s.Enabled && s.Certificate != "" {
		if err := open("sip", s.Certificate, s.Key); err != nil {
			return err
		}
	}
	expires := func(door string, at func() time.Time) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rendezvous_certificate_expiry_timestamp_seconds", Help: "When the first certificate that a door shows expires; 0: there is none yet.",
			ConstLabels: prometheus.Labels{"door": door},
		}, func() float64 {
			if t := at(); !t.IsZero() {
				return float64(t.Unix())
			}
			return 0
		}))
	}
	for door, f := range c.files {
		expires(door, f.Expires)
	}
	if c.acme != nil {
		expires("web", c.acme.Expires)
	}
	h.certificates = c
	return nil
}

// web gives the browsers' door its certificate; without one it serves plain HTTP.
func (c *certificates) web(d *web.Config) {
	if c.acme != nil {
		d.TLS = c.acme.Server()
		if d.Redirect != "" {
			d.Challenges = c.acme.Challenges
		}
	} else if f := c.files["web"]; f != nil {
		d.TLS = f.Server()
	}
}

// sip gives the phones' door its own, or else the page's; without either it makes one for itself.
func (c *certificates) sip(d *sip.Config) {
	switch {
	case c.files["sip"] != nil:
		d.Certificate = c.files["sip"].Get
	case c.acme != nil:
		d.Certificate = c.acme.Get
	case c.files["web"] != nil:
		d.Certificate = c.files["web"].Get
	}
}

// start asks the authority for what there is not yet. The doors must be open: it comes to them.
func (c *certificates) start() {
	if c.acme == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.running.Go(func() { c.acme.Run(ctx) })
}

// reload reads the files again.
func (c *certificates) reload() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Reload())
	}
	return errors.Join(errs...)
}

// degraded has a line for each certificate that cannot be had or is not renewed.
func (c *certificates) degraded() (lines []string) {
	if c == nil {
		return nil
	}
	if c.acme != nil {
		lines = c.acme.Degraded()
	}
	for _, door := range slices.Sorted(maps.Keys(c.files)) {
		lines = append(lines, c.files[door].Degraded()...)
	}
	return lines
}

// close ends what runs, and handshakes that wait for the authority.
func (c *certificates) close() {
	if c == nil || c.acme == nil {
		return
	}
	if c.stop != nil {
		c.stop()
	}
	c.acme.Close()
	c.running.Wait()
}
