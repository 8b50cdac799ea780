package connlimit

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/internal/eventually"
)

// places is how many of some tries find a place; those who find one stay.
func places(l *Limiter, source string, tries int) (leave []func()) {
	for range tries {
		if f, ok := l.Enter(netip.MustParseAddr(source)); ok {
			leave = append(leave, f)
		}
	}
	return leave
}

func TestBounds(t *testing.T) {
	l := New(Config{All: 8, PerSource: 3, Exempt: netip.MustParsePrefix("10.0.0.0/8").Contains})
	ann := places(l, "192.0.2.1", 10)
	require.Len(t, ann, 3)
	require.Empty(t, places(l, "::ffff:192.0.2.1", 1), "the same, mapped into IPv6")
	require.Len(t, places(l, "2001:db8::1", 2), 2)
	require.Len(t, places(l, "2001:db8::ffff", 10), 1, "the same network")
	require.Len(t, places(l, "2001:db8:0:1::1", 1), 1, "another network")
	require.Len(t, places(l, "198.51.100.1", 3), 1, "as many as may be in all")
	all, sources := l.Taken()
	require.Equal(t, [2]int{8, 4}, [2]int{all, sources})

	ann[0]()
	ann[0]() // who leaves twice has left once
	require.Len(t, places(l, "192.0.2.1", 10), 1)
	ann[1]()
	ann[2]()
	require.Len(t, places(l, "203.0.113.1", 10), 2, "others have their places")
}

// An address that stands for many has no bound of its own, and takes of those in all.
func TestExempt(t *testing.T) {
	l := New(Config{All: 8, PerSource: 3, Exempt: netip.MustParsePrefix("10.0.0.0/8").Contains})
	proxy := places(l, "::ffff:10.0.0.1", 20)
	require.Len(t, proxy, 8)
	require.Empty(t, places(l, "192.0.2.1", 1))
	for _, leave := range proxy {
		leave()
	}
	all, sources := l.Taken()
	require.Zero(t, all+sources)
	require.Len(t, places(l, "192.0.2.1", 10), 3)
}

// Whoever comes and goes leaves nothing behind.
func TestNobodyIsRemembered(t *testing.T) {
	l := New(Config{All: 50, PerSource: 2})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for n := range 500 {
				if leave, ok := l.Enter(netip.AddrFrom4([4]byte{192, 0, 2, byte((i + n) % 13)})); ok {
					leave()
				}
			}
		})
	}
	wg.Wait()
	all, sources := l.Taken()
	require.Zero(t, all+sources)
}

func TestListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var refused atomic.Int32
	limiter := New(Config{All: 10, PerSource: 2, Refused: func(source netip.Addr) {
		if source.IsLoopback() {
			refused.Add(1)
		}
	}})
	l := limiter.Listener(inner)
	accepted := make(chan net.Conn, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.DialTimeout("tcp", l.Addr().String(), time.Minute)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
		return c
	}
	dial()
	dial()
	first, second := <-accepted, <-accepted
	_, err = dial().Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "one too many is closed")
	eventually.True(t, "it is told of", func() bool { return refused.Load() == 1 })

	require.NoError(t, first.Close())
	require.Error(t, first.Close(), "as of every connection")
	dial()
	third := <-accepted
	require.NoError(t, second.Close())
	require.NoError(t, third.Close())
	all, sources := limiter.Taken()
	require.Zero(t, all+sources)
	require.NoError(t, l.Close())
	<-done
}

// scarce is a listener of a system that has no descriptors left, for a while.
type scarce struct {
	net.Listener
	errs []error
}

func (s *scarce) Accept() (net.Conn, error) {
	if len(s.errs) == 0 {
		return s.Listener.Accept()
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
}

// Who is accepted after the system had no descriptors is accepted; a listener that is closed says so.
func TestErrorsThatPass(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var starved []error
	l := New(Config{All: 1, PerSource: 1, Starved: func(err error) { starved = append(starved, err) }}).
		Listener(&scarce{inner, []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED}})
	c, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	accepted, err := l.Accept()
	require.NoError(t, err)
	accepted.Close()
	require.Len(t, starved, 3)
	require.ErrorIs(t, starved[0], syscall.EMFILE)
	l.Close()
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = New(Config{}).Listener(&scarce{inner, []error{syscall.EINVAL}}).Accept()
	require.ErrorIs(t, err, syscall.EINVAL)
}
