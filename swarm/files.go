package swarm

import (
	"context"
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/internal/atomicfile"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// stallTime is how long a transfer may stand still.
const stallTime = time.Minute

// chunk is how much of a file is sent at once, so that others on the connection
// get their turn.
const chunk = 16 << 10

// FileID names the file of a file message among those of its conversation.
func FileID(e repo.Entry) string {
	return e.ID.String() + "_" + e.Message.Get("tid") + filepath.Ext(e.Message.Get("displayName"))
}

// File is a file to be sent. Whoever has it knows size and hash already, so that it need not be read for them.
type File struct {
	Name string // what others see
	Key  string // Config.OpenFile opens it by this, see there
	Size int64  // bytes
	SHA3 string // SHA3-512, hex
}

// SendFile commits a message about a file that is there, and serves it to the members until ForgetFile, also after the
// next Open.
// It fails for a file that cannot be opened or has another size, if the index cannot be saved, and as Say does.
func (c *Conversation) SendFile(f File) (repo.Entry, error) {
	if err := c.ready(f); err != nil {
		return repo.Entry{}, fmt.Errorf("swarm: sending %.80q: %w", f.Name, err)
	}
	var random [8]byte
	rand.Read(random[:])
	tid := strconv.FormatUint(binary.BigEndian.Uint64(random[:])>>11, 10)
	m := commit.File(filepath.Base(f.Name), f.SHA3, tid, f.Size)
	// The file is in the index before anybody can ask for it; one of a message that was never said harms nobody.
	var id string
	e, err := c.one(func() (repo.Entry, error) {
		return c.repo.SayAfter(m, func(e repo.Entry) error {
			id = FileID(e)
			return c.files.set(id, f.Key)
		})
	})
	if err != nil && id != "" {
		err = errors.Join(err, c.files.set(id, ""))
	}
	return e, err
}

// ready refuses a file that could not be served.
func (c *Conversation) ready(f File) error {
	if err := c.swarm.ctx.Err(); err != nil {
		return err
	}
	if sum, err := hex.DecodeString(f.SHA3); err != nil || len(sum) != 512/8 {
		return fmt.Errorf("%.140q is no SHA3-512", f.SHA3)
	}
	in, err := c.swarm.openFile(f.Key, f.Size)
	if err != nil {
		return err
	}
	return in.Close()
}

// openFile opens a file by its key, which must have as many bytes as it is said to have, and stands at their end.
func (s *Swarm) openFile(key string, size int64) (io.ReadSeekCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	f, err := s.cfg.OpenFile(key)
	if err != nil {
		return nil, err
	}
	have, err := f.Seek(0, io.SeekEnd)
	if err == nil && have != size {
		err = fmt.Errorf("the file is not complete: %d bytes of %d", have, size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ForgetFile stops serving a file. The message stays. It fails as the disk does.
func (c *Conversation) ForgetFile(e repo.Entry) error {
	if err := c.files.set(FileID(e), ""); err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	return nil
}

// offered is a part of a file that a member may have.
type offered struct {
	swarm      *Swarm
	key        string
	size       int64 // of the whole file
	start, end int64
}

// offer finds a file by its id, and the part of it that "start=N&end=M" means.
func (c *Conversation) offer(id, query string) (offered, error) {
	head, rest, _ := strings.Cut(id, "_")
	if !plumbing.IsHash(head) || rest == "" {
		return offered{}, errors.New("malformed file id")
	}
	e, err := c.repo.Entry(plumbing.NewHash(head))
	if err != nil {
		return offered{}, err
	}
	if e.Message.Type != commit.TypeFile || FileID(e) != id {
		return offered{}, errors.New("no such file message")
	}
	key, ok := c.files.find(id)
	if !ok {
		return offered{}, errors.New("the file is not here")
	}
	size, err := strconv.ParseInt(e.Message.Get("totalSize"), 10, 64)
	if err != nil {
		return offered{}, errors.New("malformed size")
	}
	f, err := c.swarm.openFile(key, size)
	if err != nil {
		return offered{}, err
	}
	if err := f.Close(); err != nil {
		return offered{}, err
	}
	o := offered{c.swarm, key, size, 0, size}
	q, err := url.ParseQuery(query)
	if err != nil {
		return offered{}, errors.New("malformed part")
	}
	for key, to := range map[string]*int64{"start": &o.start, "end": &o.end} {
		if v := q.Get(key); v != "" {
			if *to, err = strconv.ParseInt(v, 10, 64); err != nil {
				return offered{}, errors.New("malformed part")
			}
		}
	}
	if o.end == 0 || o.end > size {
		o.end = size
	}
	if o.start < 0 || o.start > o.end {
		return offered{}, errors.New("no such part")
	}
	return o, nil
}

func (o offered) send(ch net.Conn) error {
	f, err := o.swarm.openFile(o.key, o.size)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(o.start, io.SeekStart); err != nil {
		return err
	}
	r := io.LimitReader(f, o.end-o.start)
	buf := make([]byte, chunk)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := ch.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
				return err
			}
			if _, err := ch.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ErrNoFile says that nobody who is online has the file.
var ErrNoFile = errors.New("swarm: nobody has the file")

// Download gets the file of a file message into dst: from the author's devices
// first, then from other members'. What came before it was interrupted is kept in
// dst.part and goes on from there. The file appears when its hash is right.
func (c *Conversation) Download(ctx context.Context, e repo.Entry, dst string) error {
	m := e.Message
	size, err := strconv.ParseInt(m.Get("totalSize"), 10, 64)
	if err != nil || m.Type != commit.TypeFile || size < 0 || m.Get("tid") == "" {
		return errors.New("swarm: not a file message")
	}
	part, err := os.OpenFile(dst+".part", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	defer part.Close()
	failed := ErrNoFile
	for p := range c.holders(ctx, e) {
		err := c.downloadFrom(ctx, p, e, part, size)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if err := part.Sync(); err != nil {
			return fmt.Errorf("swarm: %w", err)
		}
		if err := part.Close(); err != nil {
			return fmt.Errorf("swarm: %w", err)
		}
		if err := atomicfile.Rename(dst+".part", dst); err != nil {
			return fmt.Errorf("swarm: %w", err)
		}
		return nil
	}
	return fmt.Errorf("swarm: file %s: %w", FileID(e), failed)
}

// holders yields the devices that may have a file.
func (c *Conversation) holders(ctx context.Context, e repo.Entry) func(func(Peer) bool) {
	return func(yield func(Peer) bool) {
		tried := map[string]bool{c.swarm.device.Long.String(): true}
		try := func(p Peer) bool {
			id := p.Device.Long.String()
			if tried[id] || !c.repo.MayHaveFiles(p.Account, p.Device.Long) {
				return true
			}
			tried[id] = true
			return yield(p)
		}
		for p, err := range c.swarm.cfg.Network.Devices(ctx, e.Account) {
			if err == nil && !try(p) {
				return
			}
		}
		for _, p := range c.swarm.cfg.Network.Connected() {
			if !try(p) {
				return
			}
		}
		for _, d := range c.repo.Devices() {
			if !try(Peer{d.Account, d.IDs}) {
				return
			}
		}
	}
}

func (c *Conversation) downloadFrom(ctx context.Context, p Peer, e repo.Entry, part *os.File, size int64) error {
	sum := sha3.New512()
	if _, err := part.Seek(0, io.SeekStart); err != nil {
		return err
	}
	have, err := io.Copy(sum, part)
	if err != nil {
		return err
	}
	if have > size {
		if have, err = 0, part.Truncate(0); err != nil {
			return err
		}
		if _, err := part.Seek(0, io.SeekStart); err != nil {
			return err
		}
		sum.Reset()
	}
	if have < size {
		if err := c.receive(ctx, p, e, part, sum, have, size); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != e.Message.Get("sha3sum") {
		// Of whom the wrong bytes are is not known: begin anew.
		return errors.Join(fmt.Errorf("from %s: the file's hash is wrong", p.Account), part.Truncate(0))
	}
	return nil
}

func (c *Conversation) receive(ctx context.Context, p Peer, e repo.Entry, part io.Writer, sum hash.Hash, have, size int64) error {
	name := "data-transfer://" + c.ID() + "/" + c.swarm.device.Long.String() + "/" + FileID(e)
	if have > 0 {
		name += fmt.Sprintf("?start=%d&end=%d", have, size)
	}
	open, cancel := context.WithTimeout(ctx, openTime)
	ch, err := c.swarm.cfg.Network.OpenChannel(open, p.Device, name)
	cancel()
	if err != nil {
		return err
	}
	defer ch.Close()
	stop := context.AfterFunc(ctx, func() { ch.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	for have < size {
		if err := ch.SetReadDeadline(time.Now().Add(stallTime)); err != nil {
			return err
		}
		n, err := ch.Read(buf[:min(int64(len(buf)), size-have)])
		if n > 0 {
			sum.Write(buf[:n])
			if _, err := part.Write(buf[:n]); err != nil {
				return err
			}
			have += int64(n)
		}
		if err != nil && have < size {
			return fmt.Errorf("from %s: %d bytes of %d: %w", p.Account, have, size, err)
		}
	}
	return nil
}
