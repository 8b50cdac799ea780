package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v2"
	"github.com/pion/dtls/v2/pkg/crypto/selfsign"
	"github.com/pion/srtp/v2"
	"golang.org/x/sys/unix"
)

// patience is how long a caller may take to come in on a machine that has much to do.
const patience = 30 * time.Second

// door is how callers reach a host's rooms.
type door interface {
	// source is the address that a caller comes from.
	source(c call) netip.Addr
	// join lets somebody in and returns the host's answer to the offer, and what ends it.
	join(ctx context.Context, c call, offer string) (answer string, leave func(context.Context) error, err error)
}

// call is who joins, and where.
type call struct {
	room, name string
	number     int // of the caller, from 0: which address they come from
	media      string
	watches    bool // has no microphone
	levels     bool // tells how loud they are
}

// identity is the certificate that all callers share, as making one each would be the generator's work, not the host's.
type identity struct {
	certificate tls.Certificate
	fingerprint string
}

func newIdentity() (identity, error) {
	c, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return identity{}, fmt.Errorf("make a certificate: %w", err)
	}
	sum := sha256.Sum256(c.Certificate[0])
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	var parts []string
	for i := 0; i < len(digits); i += 2 {
		parts = append(parts, digits[i:i+2])
	}
	return identity{c, strings.Join(parts, ":")}, nil
}

// profile is the cipher that callers offer: the one that everybody must have (RFC 8827 section 6.5).
const profile = srtp.ProtectionProfileAes128CmHmacSha1_80

// dial joins a room by WebRTC: offer and answer, ICE, a DTLS handshake, the keys of SRTP from that (RFC 5764). Then the
// connection is a socket and two keys, and no goroutine has to do with it.
func dial(ctx context.Context, d door, id identity, c call) (*caller, error) {
	timed, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(d.source(c), 0)))
	if err != nil {
		return nil, err
	}
	defer conn.Close() // the caller has a copy of the socket
	joined := &caller{fd: -1, credentials: newCredentials(), stream: stream{ssrc: rand.Uint32() | 1}}
	o := offer{
		ufrag: joined.credentials.ufrag, pwd: joined.credentials.pwd, fingerprint: id.fingerprint, ssrc: joined.stream.ssrc,
		address: conn.LocalAddr().(*net.UDPAddr).AddrPort(), media: c.media, direction: "sendrecv", levels: c.levels,
	}
	if c.watches {
		o.direction = "recvonly"
	}
	text, leave, err := d.join(timed, c, o.String())
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	joined.leave = leave
	if err := joined.connect(timed, conn, id, text); err != nil {
		return nil, errors.Join(err, joined.close(ctx))
	}
	return joined, nil
}

func (c *caller) connect(ctx context.Context, conn *net.UDPConn, id identity, text string) error {
	a, err := parseAnswer(text)
	if err != nil {
		return err
	}
	c.credentials.remoteUfrag, c.credentials.remotePwd = a.ufrag, a.pwd
	c.stream.payload, c.stream.level = a.payload, a.level
	c.to = a.nearest()
	path := &path{UDPConn: conn, to: c.to, credentials: c.credentials}
	if err := path.nominate(ctx); err != nil {
		return fmt.Errorf("ICE with %s: %w", c.to, err)
	}
	if err := c.handshake(ctx, path, id, a); err != nil {
		return fmt.Errorf("DTLS with %s: %w", c.to, err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var dup error
	if err := raw.Control(func(fd uintptr) { c.fd, dup = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || dup != nil {
		return errors.Join(err, dup)
	}
	if err := unix.Connect(c.fd, &unix.SockaddrInet4{Port: int(c.to.Port()), Addr: c.to.Addr().As4()}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// handshake agrees on the keys, and ends the DTLS connection without a word: it has nothing else to do.
func (c *caller) handshake(ctx context.Context, p *path, id identity, a answer) error {
	cfg := &dtls.Config{
		Certificates:           []tls.Certificate{id.certificate},
		SRTPProtectionProfiles: []dtls.SRTPProtectionProfile{dtls.SRTPProtectionProfile(profile)},
		InsecureSkipVerify:     true, // the fingerprint is verified (RFC 8122 section 5)
		ClientAuth:             dtls.RequireAnyClientCert,
		ExtendedMasterSecret:   dtls.RequireExtendedMasterSecret,
		VerifyPeerCertificate: func(chain [][]byte, _ [][]*x509.Certificate) error {
			if len(chain) == 0 {
				return errors.New("the host has no certificate")
			}
			if sum := sha256.Sum256(chain[0]); string(sum[:]) != string(a.fingerprint) {
				return errors.New("the host's certificate is not that of its fingerprint")
			}
			return nil
		},
	}
	begin := dtls.ClientWithContext
	if a.client {
		begin = dtls.ServerWithContext
	}
	conn, err := begin(ctx, p, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer p.detach()
	state := conn.ConnectionState()
	keys := &srtp.Config{Profile: profile}
	if err := keys.ExtractSessionKeysFromDTLS(&state, !a.client); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if c.out, err = srtp.CreateContext(keys.Keys.LocalMasterKey, keys.Keys.LocalMasterSalt, profile); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if c.in, err = srtp.CreateContext(keys.Keys.RemoteMasterKey, keys.Keys.RemoteMasterSalt, profile); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// errBusy is what a host refuses somebody with who may ask again.
var errBusy = errors.New("the host has too much to do")

// enter dials until the host is not too busy for one more, as a patient person does. refused is how often it was.
func enter(ctx context.Context, d door, id identity, c call) (joined *caller, refused int, err error) {
	for begun := time.Now(); ; refused++ {
		joined, err = dial(ctx, d, id, c)
		if !errors.Is(err, errBusy) || time.Since(begun) > patience {
			return joined, refused, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, refused, err
		}
	}
}

// path is the socket of one caller while they connect, as DTLS sees it: checks are answered beneath.
type path struct {
	*net.UDPConn
	to          netip.AddrPort
	credentials credentials
	detached    atomic.Bool
}

// nominate sends checks until one is answered.
func (p *path) nominate(ctx context.Context) error {
	b := make([]byte, 1500)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		check, err := p.credentials.check()
		if err != nil {
			return err
		}
		if _, err := p.WriteToUDPAddrPort(check, p.to); err != nil {
			return err
		}
		if err := p.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return err
		}
		for {
			n, from, err := p.ReadFromUDPAddrPort(b)
			if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				break
			}
			if err != nil {
				return err
			}
			answered, err := p.stun(b[:n], from)
			if err != nil {
				return err
			}
			if answered {
				return p.SetReadDeadline(time.Time{})
			}
		}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// stun takes a message if it is one of STUN. Those that make no sense are passed over.
func (p *path) stun(b []byte, from netip.AddrPort) (answered bool, err error) {
	if kindOf(b) != isSTUN {
		return false, nil
	}
	reply, answered, err := p.credentials.take(b, from)
	if err != nil || reply == nil { // what makes no sense may be anybody's
		return answered, nil
	}
	_, err = p.WriteToUDPAddrPort(reply, from)
	return answered, err
}

// Read implements net.Conn: the next record of DTLS.
func (p *path) Read(b []byte) (int, error) {
	for {
		n, from, err := p.ReadFromUDPAddrPort(b)
		if p.detached.Load() {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		if kindOf(b[:n]) == isDTLS {
			return n, nil
		}
		if _, err := p.stun(b[:n], from); err != nil {
			return 0, err
		}
	}
}

// Write implements net.Conn.
func (p *path) Write(b []byte) (int, error) {
	if p.detached.Load() {
		return len(b), nil
	}
	return p.WriteToUDPAddrPort(b, p.to)
}

// detach ends what reads, without the host's notice.
func (p *path) detach() {
	p.detached.Store(true)
	_ = p.SetReadDeadline(time.Unix(1, 0)) // of an open socket it cannot fail
}

// RemoteAddr implements net.Conn.
func (p *path) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(p.to) }

// Close implements net.Conn: the socket outlives the DTLS connection.
func (*path) Close() error { return nil }
