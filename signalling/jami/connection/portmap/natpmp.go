package portmap

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// natpmpPort is the gateway's (RFC 6886 section 3.1).
const natpmpPort = 5351

// Opcodes; the answer's has the top bit set.
const (
	opAddress = 0
	opMapTCP  = 2
)

type natpmp struct {
	gateway netip.Addr // zero: the default route's
	mapped  bool
}

func (*natpmp) name() string { return "NAT-PMP" }

func (n *natpmp) forward(ctx context.Context, port uint16) (netip.AddrPort, error) {
	a, err := n.ask(ctx, []byte{0, opAddress}, 12)
	if err != nil {
		return netip.AddrPort{}, err
	}
	outside := netip.AddrFrom4([4]byte(a[8:12]))
	a, err = n.ask(ctx, mapRequest(port, lease), 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n.mapped = true
	return netip.AddrPortFrom(outside, binary.BigEndian.Uint16(a[10:12])), nil
}

func (n *natpmp) remove(ctx context.Context, port uint16) error {
	if !n.mapped {
		return nil
	}
	_, err := n.ask(ctx, mapRequest(port, 0), 16)
	return err
}

// mapRequest is RFC 6886 section 3.3; a lifetime of zero removes the mapping,
// and asks for no outside port then.
func mapRequest(port uint16, lifetime time.Duration) []byte {
	b := []byte{0, opMapTCP, 0, 0}
	b = binary.BigEndian.AppendUint16(b, port)
	if lifetime == 0 {
		port = 0
	}
	b = binary.BigEndian.AppendUint16(b, port)
	return binary.BigEndian.AppendUint32(b, uint32(lifetime.Seconds()))
}

// ask sends a request, again after 250 and 500 ms (section 3.1), and returns
// the answer if it is one of at least n bytes and says success.
func (n *natpmp) ask(ctx context.Context, request []byte, length int) ([]byte, error) {
	gw := n.gateway
	if !gw.IsValid() {
		var err error
		if gw, err = defaultGateway(); err != nil {
			return nil, err
		}
	}
	// Connected, so that only the gateway's answers come in.
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(gw, natpmpPort)))
	if err != nil {
		return nil, fmt.Errorf("portmap: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	buf := make([]byte, 64)
	for wait := 250 * time.Millisecond; wait <= time.Second; wait *= 2 {
		if _, err = conn.Write(request); err != nil {
			return nil, fmt.Errorf("portmap: %w", err)
		}
		conn.SetReadDeadline(time.Now().Add(wait))
		var k int
		if k, err = conn.Read(buf); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
			return nil, fmt.Errorf("portmap: %w", err) // nobody listens there
		}
		return checkAnswer(buf[:k], request[1], length)
	}
	return nil, fmt.Errorf("portmap: gateway %s does not answer: %w", gw, err)
}

// checkAnswer is RFC 6886 section 3.5.
func checkAnswer(b []byte, op byte, length int) ([]byte, error) {
	if len(b) < 4 || b[0] != 0 || b[1] != op|0x80 {
		return nil, fmt.Errorf("portmap: not an answer: % x", b)
	}
	if code := binary.BigEndian.Uint16(b[2:]); code != 0 {
		return nil, fmt.Errorf("portmap: gateway refuses with code %d", code)
	}
	if len(b) < length {
		return nil, fmt.Errorf("portmap: answer of %d bytes", len(b))
	}
	return b, nil
}

// defaultGateway reads the IPv4 default route of Linux.
func defaultGateway() (netip.Addr, error) {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return netip.Addr{}, fmt.Errorf("portmap: %w", err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		// Iface Destination Gateway Flags …, addresses in the host's byte order
		c := strings.Fields(sc.Text())
		if len(c) < 3 || c[1] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(c[2])
		if err != nil || len(b) != 4 {
			continue
		}
		if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
			slices.Reverse(b)
		}
		if ip := netip.AddrFrom4([4]byte(b)); !ip.IsUnspecified() {
			return ip, nil
		}
	}
	return netip.Addr{}, errors.New("portmap: no default route")
}
