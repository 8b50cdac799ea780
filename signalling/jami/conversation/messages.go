package conversation

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"rendezvous/dht/msgpack"
	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/mux"
	"rendezvous/swarm"
)

const (
	openTime   = 40 * time.Second // for the opening of a channel, connection and all
	answerTime = 32 * time.Second // for the answer to a message
	writeTime  = 20 * time.Second
)

// maxMsg bounds one message on a "msg:" channel.
const maxMsg = 256 << 10

// sendMessage gives a device a message: over "msg:" if it takes that, else as SIP
// MESSAGE.
func (s *Service) sendMessage(ctx context.Context, to swarm.Peer, mime string, body []byte) error {
	if l := s.msgLink(ctx, to); l != nil {
		if err := l.send(mime, body); err == nil {
			return nil
		}
	}
	return s.sendSIP(ctx, to, mime, body)
}

// msgLink is a "msg:" channel with a device.
type msgLink struct {
	ch net.Conn

	mu sync.Mutex // held while a message is written
}

// msgLink returns the "msg:" channel to a device, opening it if the device takes
// such; nil if not.
func (s *Service) msgLink(ctx context.Context, to swarm.Peer) *msgLink {
	s.mu.Lock()
	l, declined := s.msg[to.Device.Long], s.noMsg[to.Device.Long]
	s.mu.Unlock()
	if l != nil || time.Since(declined) < noMsgAgain {
		return l
	}
	ch, err := s.account.OpenChannel(ctx, to.Device, "msg:"+to.Device.Long.String(), connType)
	if err != nil {
		if errors.Is(err, mux.ErrDeclined) {
			s.mu.Lock()
			if len(s.noMsg) >= maxDevices {
				clear(s.noMsg)
			}
			s.noMsg[to.Device.Long] = time.Now()
			s.mu.Unlock()
		}
		return nil
	}
	l = s.addMsg(ch.Peer(), ch)
	s.background(func() { s.readMsg(ch.Peer(), l) })
	return l
}

func (s *Service) addMsg(p connection.Peer, ch net.Conn) *msgLink {
	l := &msgLink{ch: ch}
	s.mu.Lock()
	s.msg[p.Device.Long] = l
	s.mu.Unlock()
	return l
}

// serveMsg has a channel that a peer opened.
func (s *Service) serveMsg(p connection.Peer, ch net.Conn) {
	l := s.addMsg(p, ch)
	s.background(func() { s.met(p) })
	s.readMsg(p, l)
}

// readMsg takes messages until the channel ends, or Close. There may be several with one
// device: both sides open one when they first have something to say.
func (s *Service) readMsg(p connection.Peer, l *msgLink) {
	stop := context.AfterFunc(s.ctx, func() { l.ch.Close() })
	defer func() {
		stop()
		l.ch.Close()
		s.mu.Lock()
		if s.msg[p.Device.Long] == l {
			delete(s.msg, p.Device.Long)
		}
		s.mu.Unlock()
	}()
	var pending []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := l.ch.Read(buf)
		if err != nil {
			if errors.Is(err, mux.ErrBeacon) {
				s.swarm.Lost(peerOf(p))
			}
			return
		}
		pending = append(pending, buf[:n]...)
		for len(pending) > 0 {
			mime, body, used, err := parseMsg(pending)
			if errors.Is(err, msgpack.ErrTruncated) && len(pending) < maxMsg {
				break
			}
			if err != nil {
				s.log.Info("conversation: message channel ends", "peer", p.Account, "error", err)
				return
			}
			s.swarm.Message(peerOf(p), mime, body)
			pending = pending[used:]
		}
	}
}

// parseMsg reads one message off the front of b: {id, t: MIME type, c: content,
// req}.
func parseMsg(b []byte) (mime string, body []byte, used int, err error) {
	r := msgpack.NewReader(b)
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch key := r.Key(); {
		case key == "t" && r.Kind() == msgpack.Str:
			mime = r.Str()
		case key == "c" && r.Kind() == msgpack.Str:
			body = []byte(r.Str())
		default:
			r.Skip()
		}
	}
	return mime, body, r.Offset(), r.Err()
}

func packMsg(id uint64, mime string, body []byte) []byte {
	b := msgpack.AppendMap(nil, 4)
	b = msgpack.AppendUint(msgpack.AppendString(b, "id"), id)
	b = msgpack.AppendString(msgpack.AppendString(b, "t"), mime)
	b = msgpack.AppendString(msgpack.AppendString(b, "c"), string(body))
	return msgpack.AppendNil(msgpack.AppendString(b, "req"))
}

func (l *msgLink) send(mime string, body []byte) error {
	var id [8]byte
	rand.Read(id[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ch.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if _, err := l.ch.Write(packMsg(binary.BigEndian.Uint64(id[:]), mime, body)); err != nil {
		l.ch.Close()
		return err
	}
	return nil
}
