package icetcp

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// The ice_msg and the first frames of a session between two jamids.
const jamidDescription = `17578bed
1c68430c7248e0ec3bc36be8
Ha4d000b 1 TCP 2130706431 10.77.0.11 35643 typ host tcptype passive
Ha4d000b 1 TCP 2130706175 10.77.0.11 9 typ host tcptype active
Sa4d000b 1 TCP 1694498303 10.77.0.11 9 typ srflx tcptype active
`

const (
	askerUfrag, askerPassword       = "17578bed", "1c68430c7248e0ec3bc36be8"
	answererUfrag, answererPassword = "46769913", "6b91ddf95e9d703c23f3f9b2"

	firstCheckHex = "0074000100602112a442803300001ea16d577610cf7a002400046efffeff8029000853003d6a5800f54080220010706a6e6174682d322e31322e310000000006001134363736393931333a313735373862656400000000080014912d577be2f7d31fb2269361a604ccc8047649a480280004e928f57b"
	answerHex     = "0054010100402112a442803300001ea16d577610cf7a002000080001bec22b5fa44980220010706a6e6174682d322e31322e3100000000080014ac53d7181d718a2cb3897d4507bd754f0d31f2ae802800043801ce21"
	nominateHex   = "0078000100642112a442b333000005523d2fe6191a3a002400046effffff00250000802a0008789620676a8099c080220010706a6e6174682d322e31322e310000000006001131373537386265643a3436373639393133000000000800148eb2cbb352d2e323a09cc92c8e237ff7a464ce65802800042476619b"
	keepAliveHex  = "001c001100082112a442b3330000ea62645af9191a3a802800046257780d"
)

func frameOf(t testing.TB, h string) []byte {
	t.Helper()
	b, err := hex.DecodeString(h)
	if err != nil {
		t.Fatal(err)
	}
	f, err := readCheck(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestJamidFrames(t *testing.T) {
	asker := Description{Ufrag: askerUfrag, Password: askerPassword}
	answerer := Description{Ufrag: answererUfrag, Password: answererPassword}

	m, err := decode(frameOf(t, firstCheckHex))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := addressee(m); u != answererUfrag || err != nil {
		t.Fatalf("for %q, %v", u, err)
	}
	r, err := verifyRequest(m, answerer, asker)
	want := request{priority: 0x6efffeff, hasRole: true, tieBreaker: 0x53003d6a5800f540}
	if err != nil || r != want {
		t.Fatalf("check %+v, %v", r, err)
	}
	if _, err := verifyRequest(m, answerer, Description{Ufrag: "other"}); err == nil {
		t.Fatal("accepted from another peer")
	}

	m, err = decode(frameOf(t, answerHex))
	if err != nil {
		t.Fatal(err)
	}
	if code, err := verifyResponse(m, answerer); code != 0 || err != nil {
		t.Fatalf("answer %d, %v", code, err)
	}

	m, err = decode(frameOf(t, nominateHex))
	if err != nil {
		t.Fatal(err)
	}
	r, err = verifyRequest(m, asker, answerer)
	want = request{priority: 0x6effffff, useCandidate: true, controlling: true, hasRole: true, tieBreaker: 0x789620676a8099c0}
	if err != nil || r != want {
		t.Fatalf("nomination %+v, %v", r, err)
	}

	if _, err := decode(frameOf(t, keepAliveHex)); err != nil {
		t.Fatal(err)
	}
}

func TestParseDescription(t *testing.T) {
	d, err := ParseDescription(jamidDescription)
	if err != nil {
		t.Fatal(err)
	}
	ip := netip.MustParseAddr("10.77.0.11")
	want := Description{askerUfrag, askerPassword, []Candidate{
		{"Ha4d000b", 2130706431, netip.AddrPortFrom(ip, 35643), Host, Passive},
		{"Ha4d000b", 2130706175, netip.AddrPortFrom(ip, 9), Host, Active},
		{"Sa4d000b", 1694498303, netip.AddrPortFrom(ip, 9), ServerReflexive, Active},
	}}
	if !reflect.DeepEqual(d, want) {
		t.Fatalf("got %+v", d)
	}
	if d.String() != jamidDescription {
		t.Fatalf("rendered %q", d.String())
	}
	// Our own candidates of the same address are the same lines.
	got := Addresses{Host: []netip.Addr{ip}, Port: 35643, Seen: []netip.Addr{ip}}.Candidates()
	if !reflect.DeepEqual(got[:2], want.Candidates[:2]) {
		t.Fatalf("own candidates %v", got)
	}
}

func TestParseDescriptionRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"empty":          "",
		"no password":    "17578bed",
		"short ufrag":    "abc\n1c68430c7248e0ec3bc36be8\n",
		"short password": "17578bed\nshort\n",
		"odd characters": "1757 bed\n1c68430c7248e0ec3bc36be8\n",
		"too long":       "17578bed\n1c68430c7248e0ec3bc36be8\n" + string(make([]byte, maxDescription)),
	} {
		if _, err := ParseDescription(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d, err := ParseDescription(`17578bed
1c68430c7248e0ec3bc36be8
Ha4d000b 1 UDP 2130706431 10.77.0.11 35643 typ host
Ha4d000b 2 TCP 2130706431 10.77.0.11 35643 typ host tcptype passive
Ha4d000b 1 TCP 2130706431 example.org 35643 typ host tcptype passive
Ha4d000b 1 TCP 2130706431 10.77.0.11 0 typ host tcptype passive
Ha4d000b 1 TCP 2130706431 10.77.0.11 35643 typ strange tcptype passive
garbage
X 1 tcp 5 ::ffff:10.0.0.1 7 typ srflx raddr 1.2.3.4 rport 5 tcptype passive generation 0`)
	if err != nil || len(d.Candidates) != 1 || d.Candidates[0].Addr != netip.MustParseAddrPort("10.0.0.1:7") {
		t.Fatalf("got %+v, %v", d, err)
	}
}

func TestPairPriority(t *testing.T) {
	// RFC 5245 section 5.7.2 by hand: G=2, D=1.
	if p := pairPriority(2, 1); p != 1<<32+2*2+1 {
		t.Fatal(p)
	}
	if p := pairPriority(1, 2); p != 1<<32+2*2 {
		t.Fatal(p)
	}
}

func FuzzDescription(f *testing.F) {
	f.Add(jamidDescription)
	f.Add("17578bed\n1c68430c7248e0ec3bc36be8\nX 1 tcp 5 ::1 7 typ srflx raddr 1.2.3.4 rport 5 tcptype so\n")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDescription(s)
		if err != nil {
			return
		}
		again, err := ParseDescription(d.String())
		if err != nil || !reflect.DeepEqual(d, again) {
			t.Fatalf("%q: %+v became %+v, %v", s, d, again, err)
		}
	})
}

func FuzzCheck(f *testing.F) {
	for _, h := range []string{firstCheckHex, answerHex, nominateHex, keepAliveHex} {
		f.Add(frameOf(f, h))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		addressee(m)
		d := Description{Ufrag: answererUfrag, Password: answererPassword}
		verifyRequest(m, d, d)
		verifyResponse(m, d)
	})
}

// FuzzConn feeds a nominated connection any bytes: what Read returns is never
// more than was sent, and it ends.
func FuzzConn(f *testing.F) {
	for _, h := range []string{firstCheckHex, keepAliveHex, "0005" + "68656c6c6f" + keepAliveHex + "0000" + "0001ff"} {
		b, _ := hex.DecodeString(h)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		go func() { there.Write(b); there.Close() }()
		go io.Copy(io.Discard, there)
		c := &Conn{Conn: here, br: bufio.NewReader(here), refused: func(string) {},
			local: Description{Ufrag: answererUfrag, Password: answererPassword}}
		here.SetDeadline(time.Now().Add(10 * time.Second))
		n, _ := io.Copy(io.Discard, c)
		if n > int64(len(b)) {
			t.Fatalf("%d bytes from %d", n, len(b))
		}
		here.Close()
	})
}
