package connection

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rendezvous/dht/value"
	"rendezvous/internal/atomicfile"
)

const (
	// maxSeen bounds remembered requests; with the rate limits it outlasts the
	// ten minutes that the DHT keeps and re-delivers a request.
	maxSeen = 1 << 14
	// seenFor is how long a request is remembered over a restart.
	seenFor = 30 * time.Minute
)

// requestKey names a request: ids are chosen by the asker.
type requestKey struct {
	device value.LongID
	id     uint64
	answer bool
}

// seen remembers which requests were handled, so that one the DHT delivers
// again, after a restart too, is not.
type seen struct {
	items  *bounded[requestKey, time.Time]
	path   string   // empty keeps them in memory only
	file   *os.File // appended to
	writes int      // lines in it
}

// openSeen loads the file, drops what is old, and goes on appending. What cannot be read or kept is an error, beside which
// what could be is remembered in memory: without it a request that is delivered again after a restart is handled again, no more.
func openSeen(path string, now time.Time) (*seen, error) {
	s := &seen{items: newBounded[requestKey, time.Time](maxSeen), path: path}
	if path == "" {
		return s, nil
	}
	err := s.load(path, now)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, atomicfile.MkdirAll(filepath.Dir(path), 0o700), s.rewrite()); err != nil {
		return s, fmt.Errorf("connection: handled requests: %w", err)
	}
	return s, nil
}

// rewrite replaces the file by what is remembered. If it cannot, what there was is appended to.
func (s *seen) rewrite() error {
	var b bytes.Buffer
	for _, k := range s.items.order {
		writeSeen(&b, k, s.items.items[k])
	}
	failed := atomicfile.Write(s.path, b.Bytes(), 0o600)
	s.close()
	s.writes = len(s.items.order)
	var err error
	s.file, err = os.OpenFile(s.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return errors.Join(failed, err)
}

func (s *seen) load(path string, now time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		k, at, ok := parseSeen(sc.Text())
		if _, dup := s.items.get(k); ok && !dup && now.Sub(at) < seenFor {
			s.items.add(k, at)
		}
	}
	return sc.Err()
}

// parseSeen reads "device id answer unix-seconds"; a line cut by a crash is no
// line.
func parseSeen(line string) (requestKey, time.Time, bool) {
	f := strings.Fields(line)
	if len(f) != 4 {
		return requestKey{}, time.Time{}, false
	}
	dev, err1 := value.ParseLongID(f[0])
	id, err2 := strconv.ParseUint(f[1], 10, 64)
	at, err3 := strconv.ParseInt(f[3], 10, 64)
	if errors.Join(err1, err2, err3) != nil {
		return requestKey{}, time.Time{}, false
	}
	return requestKey{dev, id, f[2] == "true"}, time.Unix(at, 0), true
}

func (s *seen) write(k requestKey, at time.Time) {
	if s.file != nil {
		s.writes++
		writeSeen(s.file, k, at)
	}
}

// writeSeen writes a line that parseSeen reads.
func writeSeen(w io.Writer, k requestKey, at time.Time) {
	fmt.Fprintf(w, "%s %d %t %d\n", k.device, k.id, k.answer, at.Unix())
}

// first reports whether the request was not handled before, and remembers it.
func (s *seen) first(k requestKey, now time.Time) bool {
	if _, dup := s.items.get(k); dup {
		return false
	}
	s.items.add(k, now)
	s.write(k, now)
	if s.writes > 2*maxSeen {
		s.rewrite() // if it fails, the next start knows a little less
	}
	return true
}

func (s *seen) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
