package mux

import (
	"bufio"
	"errors"
	"io"
	"time"
)

func (s *Session) read() {
	defer s.wg.Done()
	err := s.readObjects()
	if errors.Is(err, ErrProtocol) {
		s.cfg.Dropped(DroppedMalformed)
	}
	s.fail(err)
}

func (s *Session) readObjects() error {
	r := bufio.NewReader(s.conn)
	for {
		number, n, err := readHeader(r)
		if err != nil {
			return err
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(r, data); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		s.heard.Store(int64(time.Since(s.began)))
		switch number {
		case controlChannel, protocolChannel:
			err = readMessages(data, s.onControl, s.onProtocol)
		default:
			s.onData(number, data)
		}
		if err != nil {
			return err
		}
	}
}

func (s *Session) onData(number uint16, data []byte) {
	c := s.channel(number)
	if c == nil {
		if len(data) > 0 {
			s.cfg.Dropped(DroppedUnknown)
		}
		return
	}
	if len(data) == 0 {
		s.forget(c)
		c.end(io.EOF)
		return
	}
	if errors.Is(c.deliver(data), ErrOverrun) && c.end(ErrOverrun) {
		s.cfg.Dropped(DroppedOverrun)
		s.forget(c)
		s.queue(appendObject(nil, number, nil))
	}
}

func (s *Session) onProtocol(p protocol) {
	if p.version != nil {
		s.version.Store(*p.version)
		select {
		case <-s.ready:
		default:
			close(s.ready)
		}
	}
	if p.beacon == nil {
		return
	}
	if *p.beacon {
		no := false
		s.queue(appendObject(nil, protocolChannel, protocol{beacon: &no}.append(nil)))
		return
	}
	signal(s.pong)
}

func (s *Session) onControl(m control) {
	switch m.state {
	case stateRequest:
		s.onRequest(m)
	default:
		if c := s.channel(m.channel); c != nil && c.name == m.name {
			select {
			case c.answer <- m.state == stateAccept:
			default: // answered before
			}
		}
	}
}

// onRequest registers a channel the peer asks for and lets Accept decide.
func (s *Session) onRequest(m control) {
	c := newChannel(s, m.name, m.channel)
	s.mu.Lock()
	_, used := s.channels[m.channel]
	ok := s.err == nil && !used && len(s.channels) < s.cfg.MaxChannels && s.cfg.Accept != nil &&
		m.name != "" && m.channel != controlChannel && m.channel != protocolChannel
	if ok {
		s.channels[m.channel] = c
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if !ok {
		s.decline(m)
		return
	}
	go func() {
		defer s.wg.Done()
		serve, ok := s.cfg.Accept(m.name)
		if !ok {
			c.end(ErrDeclined)
			s.forget(c)
			s.decline(m)
			return
		}
		defer c.Close()
		s.queue(appendObject(nil, controlChannel, control{m.name, m.channel, stateAccept}.append(nil)))
		serve(c)
	}()
}

func (s *Session) decline(m control) {
	s.cfg.Dropped(DroppedDeclined)
	s.queue(appendObject(nil, controlChannel, control{m.name, m.channel, stateDecline}.append(nil)))
}
