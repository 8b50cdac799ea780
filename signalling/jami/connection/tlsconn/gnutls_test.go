package tlsconn

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rendezvous/dht/identity"
)

// jamiPriority is what jamid sets for its connections (tls_session.cpp, TLS_FULL_PRIORITY_STRING).
const jamiPriority = "SECURE192:-KX-ALL:+ANON-ECDH:+ANON-DH:+SECURE192:-RSA:-GROUP-FFDHE4096:-GROUP-FFDHE6144:" +
	"-GROUP-FFDHE8192:+GROUP-X25519:%SERVER_PRECEDENCE:%SAFE_RENEGOTIATION"

// program is a running program with its standard input and the lines of its output.
type program struct {
	io.Writer
	t     *testing.T
	lines chan string
}

func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	cmd := exec.CommandContext(ctx, name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, pipe := io.Pipe()
	cmd.Stdout, cmd.Stderr = pipe, pipe
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{in, t, make(chan string, 1024)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		in.Close()
		cancel()
		cmd.Wait()
		pipe.Close()
		<-done
	})
	return p
}

// says waits for a line that contains text.
func (p *program) says(text string) {
	p.t.Helper()
	late := time.After(patience)
	var before []string
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended without %q:\n%s", text, strings.Join(before, "\n"))
			}
			if strings.Contains(line, text) {
				return
			}
			before = append(before, line)
		case <-late:
			p.t.Fatalf("the program does not say %q:\n%s", text, strings.Join(before, "\n"))
		}
	}
}

// exchange sends a line each way.
func exchange(t *testing.T, c net.Conn, p *program) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p, "to us\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 6)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "to us\n" {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := io.WriteString(c, "from us\n"); err != nil {
		t.Fatal(err)
	}
	p.says("from us")
}

// gnutls-cli connects to us, with what jamid would offer.
func TestGnuTLSClient(t *testing.T) {
	own, peer := devices()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	key, chain := files(t, peer)
	seen := filepath.Join(t.TempDir(), "seen.pem")
	cli := start(t, "gnutls-cli", "--no-ca-verification", "--inline-commands", "--save-cert", seen, "--priority", jamiPriority,
		"--x509keyfile", key, "--x509certfile", chain, "--port", fmt.Sprint(l.Addr().(*net.TCPAddr).Port), "127.0.0.1")
	wire, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	c, got, err := Handshake(t.Context(), wire, Config{Own: own, Peer: ids(peer)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !got.Equal(peer.Chain) {
		t.Error("another chain comes than was sent")
	}
	cli.says("(RSA-PSS-RSAE-SHA384)-(AES-256-GCM)")
	cli.says("Handshake was completed")
	exchange(t, c, cli)
	// New keys, and ours when we send next.
	io.WriteString(cli, "^rekey^\n")
	cli.says("Rekey was completed")
	exchange(t, c, cli)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	cli.says("Peer has closed the GnuTLS connection") // without a goodbye: "non-properly terminated"
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := identity.ParseChain(text); err != nil || !shown.Equal(own.Chain) {
		t.Errorf("another chain goes than is ours: %v", err)
	}
}

// We connect to gnutls-serv, which wants what jamid wants.
func TestGnuTLSServer(t *testing.T) {
	own, peer := devices()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	key, chain := files(t, peer)
	serv := start(t, "gnutls-serv", "--echo", "--require-client-cert", "--priority", jamiPriority,
		"--x509keyfile", key, "--x509certfile", chain, "--port", port)
	serv.says("port " + port + "...done")
	wire, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	c, got, err := Handshake(t.Context(), wire, Config{Client: true, Own: own, Peer: ids(peer)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !got.Equal(peer.Chain) {
		t.Error("another chain comes than was sent")
	}
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "there and back\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 15)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "there and back\n" {
		t.Fatalf("%q, %v", b, err)
	}
	serv.says("(TLS1.3-X.509)-(ECDHE-SECP384R1)-(RSA-PSS-RSAE-SHA384)-(AES-256-GCM)")
	serv.says("certificate list of 3 certificates")
	serv.says("safe renegotiation") // which jamid insists on
}
