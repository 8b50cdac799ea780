package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// crowdGoal is the crowd that there is a goal for, and crowdEvery the time between two who come: it is there in 22 s, which is less than
// a page may be without media.
const (
	crowdGoal  = 1000
	crowdEvery = 22 * time.Millisecond
)

// crowdSettles is the longest that the host may take after the last has come.
const crowdSettles = 6 * time.Second

// crowd measures what it costs the host that people join by their pages, by the WebSocket alone: what media take is not in it.
func crowd(o options) (figures []figure, err error) {
	for _, n := range o.crowds {
		var cpu, sent, peak, most, after, late []float64
		for run := range o.runs {
			o.say(run, "%d pages join", n)
			c, err := joinCrowd(o, n)
			if err != nil {
				return nil, err
			}
			cpu, sent, peak = append(cpu, c.cpu.Seconds()), append(sent, float64(c.bytes)/1e6), append(peak, float64(c.peak)/1e6)
			most, after, late = append(most, float64(c.most)/1e6), append(after, float64(c.memory)/1e6), append(late, c.late.Seconds())
		}
		result, goal := fmt.Sprintf("Crowd/%d", n), func(s string) string {
			if n == crowdGoal {
				return "goal: at most " + s
			}
			return ""
		}
		figures = append(figures,
			figure{result, fmt.Sprintf("%d pages: CPU time", n), "s", cpu, goal("6")},
			figure{result + "/sent", fmt.Sprintf("%d pages: sent to them in all", n), "MB", sent, goal("100")},
			figure{result + "/peak", fmt.Sprintf("%d pages: sent to them in the worst second", n), "MB/s", peak, ""},
			figure{result + "/memory", fmt.Sprintf("%d pages: the most memory of the host (RSS)", n), "MB", most, goal("150")},
			figure{result + "/memory-after", fmt.Sprintf("%d pages: memory of the host at the end", n), "MB", after, ""},
			figure{result + "/told", fmt.Sprintf("%d pages: from the last welcome until nothing more is sent", n), "s", late, ""},
		)
	}
	return figures, nil
}

// crowded is what it took the host that a crowd came.
type crowded struct {
	cpu          time.Duration
	bytes, peak  int64 // of the pages' TCP, in all and in the worst second
	most, memory int64 // bytes of resident memory: the most there was, and at the end
	late         time.Duration
}

func joinCrowd(o options, n int) (c crowded, err error) {
	h, err := startHost(o.program, "off")
	if err != nil {
		return c, err
	}
	defer h.stop()
	pid := h.cmd.Process.Pid
	before, err := usedBy(pid)
	if err != nil {
		return c, err
	}
	var received atomic.Int64
	var last atomic.Int64 // when something came, in ns since began
	var reading, joining sync.WaitGroup
	began := time.Now()
	if o.profile != "" {
		reading.Go(func() {
			if err := h.profile(o.profile, crowdEvery*time.Duration(n)); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
			}
		})
	}
	stop := make(chan struct{})
	var mu sync.Mutex
	var pages []*crowdPage // guarded by mu until joining is over
	var failed []error     // guarded by mu
	defer func() {
		close(stop)
		for _, p := range pages {
			p.conn.Close()
		}
		reading.Wait()
	}()
	reading.Go(func() { c.peak = worstSecond(&received, stop) })
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * crowdEvery)))
		joining.Go(func() {
			p, err := enterCrowd(strings.TrimPrefix(h.url, "http://"), i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, fmt.Errorf("page %d: %w", i, err))
				return
			}
			pages = append(pages, p)
			reading.Go(func() {
				b := make([]byte, 16<<10)
				for {
					n, err := p.r.Read(b)
					received.Add(int64(n))
					last.Store(int64(time.Since(began)))
					if err != nil {
						return
					}
				}
			})
		})
	}
	joining.Wait()
	if len(failed) > 0 {
		return c, fmt.Errorf("%d of %d pages did not come in: %w", len(failed), n, failed[0])
	}
	in := time.Since(began)
	for time.Since(began)-in < crowdSettles && time.Since(began)-time.Duration(last.Load()) < 2*time.Second {
		time.Sleep(50 * time.Millisecond)
	}
	c.late = max(0, time.Duration(last.Load())-in)
	c.bytes = received.Load()
	after, err := usedBy(pid)
	if err != nil {
		return c, err
	}
	c.cpu = after - before
	if c.memory, err = statusOf(pid, "VmRSS"); err != nil {
		return c, err
	}
	c.most, err = statusOf(pid, "VmHWM")
	return c, err
}

// worstSecond is the most that came in a second, looked at each tenth of one until stop is closed.
func worstSecond(received *atomic.Int64, stop <-chan struct{}) (most int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var counts []int64
	for {
		select {
		case <-stop:
			return most
		case <-tick.C:
		}
		counts = append(counts, received.Load())
		most = max(most, counts[len(counts)-1]-counts[max(0, len(counts)-11)])
	}
}

// crowdPage is as much of a page as says that it comes.
type crowdPage struct {
	conn net.Conn
	r    *bufio.Reader
}

// enterCrowd has the i-th page come in, and answers once it is welcome. It does as a browser does: it offers to have what it is sent
// compressed, and says what is on.
func enterCrowd(address string, i int) (*crowdPage, error) {
	// The host takes as many from one address as from a large office.
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%16))}, Timeout: 20 * time.Second}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &crowdPage{conn, bufio.NewReaderSize(conn, 4096)}
	if err = p.enter(address, i); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *crowdPage) enter(address string, i int) error {
	if err := p.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n", address); err != nil {
		return err
	}
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return fmt.Errorf("opening the WebSocket: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.New("opening the WebSocket: " + resp.Status)
	}
	if err := p.say(fmt.Sprintf(`{"type":"join","room":"main","name":%q,"inflate":true}`, crowdName(i))); err != nil {
		return err
	}
	first, err := p.read()
	if err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	if !strings.Contains(first, `"welcome"`) {
		return fmt.Errorf("joining: %.200s", first)
	}
	if err := p.say(`{"type":"media","mic":false,"camera":false,"screen":false}`); err != nil {
		return err
	}
	return p.conn.SetDeadline(time.Time{})
}

// say sends a message below 64 KiB: a frame that is final, text, and masked (RFC 6455 section 5.2) by zeros, which leaves it as it is.
func (p *crowdPage) say(text string) error {
	frame := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	_, err := p.conn.Write(append(append(frame, 0, 0, 0, 0), text...))
	return err
}

// read reads a frame; a compressed one it returns as it is.
func (p *crowdPage) read() (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return "", err
	}
	length := uint64(head[1] & 0x7f)
	if more := map[uint64]int{126: 2, 127: 8}[length]; more > 0 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(p.r, long[8-more:]); err != nil {
			return "", err
		}
		length = binary.BigEndian.Uint64(long)
	}
	if length > 1<<20 {
		return "", fmt.Errorf("a frame of %d bytes", length)
	}
	b := make([]byte, length)
	_, err := io.ReadFull(p.r, b)
	return string(b), err
}

// crowdName is a name such as people have, each another one.
func crowdName(i int) string {
	first := []string{"Ada", "Björn", "Chiara", "Dmitri", "Emre", "Fatima", "Grace", "Hiroshi", "Inês", "Jörg", "Katarzyna", "Léo", "Mei", "Noor", "Olga", "Priya"}
	last := []string{"Okafor", "Lindqvist", "Rossi", "Ivanov", "Yıldız", "Haddad", "Hopper", "Tanaka", "Silva", "Müller", "Nowak", "Martin", "Chen", "van Dijk", "Petrova", "Sharma", "O'Brien"}
	name := first[i%len(first)] + " " + last[i%len(last)]
	if n := i / (len(first) * len(last)); n > 0 {
		name += fmt.Sprint(" ", n+1)
	}
	return name
}
