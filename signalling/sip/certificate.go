package sip

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"rendezvous/internal/atomicfile"
	"rendezvous/internal/certificate"
)

// selfSignedLife is how long a certificate made here is good for.
const selfSignedLife = 10 * 365 * 24 * time.Hour

// certificate has what phones are shown: the configured one, or the self-signed one of the data folder, which is made if it
// is missing.
func (c *Config) certificate() (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	if c.Certificate != nil {
		return c.Certificate, nil
	}
	certFile, keyFile := filepath.Join(c.DataDir, "sip-cert.pem"), filepath.Join(c.DataDir, "sip-key.pem")
	if _, err := os.Stat(keyFile); errors.Is(err, fs.ErrNotExist) {
		if err := makeCertificate(certFile, keyFile, c.External); err != nil {
			return nil, fmt.Errorf("make TLS certificate: %w", err)
		}
	}
	files, err := certificate.OpenFiles(certFile, keyFile, c.Log)
	if err != nil {
		return nil, err
	}
	return files.Get, nil
}

func makeCertificate(certFile, keyFile, host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if host == "" {
		host = "localhost"
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: host},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(selfSignedLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(keyFile), 0o700); err != nil {
		return err
	}
	// The key comes last: its presence says that both files are whole.
	if err := atomicfile.Write(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return atomicfile.Write(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
}

// clientTLS is for connections of ours to upstreams and callees: certificates are
// verified except where an upstream is configured to be trusted blindly.
func (d *Door) clientTLS() *tls.Config {
	blind := make(map[string]bool)
	for _, u := range d.cfg.Upstreams {
		var uri sip.Uri
		if u.InsecureTLS && sip.ParseUri(u.Registrar, &uri) == nil {
			blind[strings.ToLower(uri.Host)] = true
		}
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it, host by host
		VerifyConnection: func(state tls.ConnectionState) error {
			if blind[strings.ToLower(state.ServerName)] {
				return nil
			}
			options := x509.VerifyOptions{DNSName: state.ServerName, Intermediates: x509.NewCertPool()}
			for _, c := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(c)
			}
			if _, err := state.PeerCertificates[0].Verify(options); err != nil {
				return fmt.Errorf("certificate of %s: %w", state.ServerName, err)
			}
			return nil
		},
	}
}
