package mux

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"rendezvous/dht/msgpack"
)

// Numbers with a meaning of their own.
const (
	controlChannel  = 0
	protocolChannel = 65535
)

const (
	// maxData is the most an object may hold.
	maxData = 65535
	// maxWrite is how much of a stream goes into one object of ours: with its
	// header it fills one TLS record, and others get their turn after it.
	maxWrite = 16<<10 - 16
	// maxName bounds channel names; the longest in use is under 200 bytes.
	maxName = 1024
)

// ErrProtocol is wrapped by errors that say how the peer broke the protocol.
var ErrProtocol = errors.New("mux: protocol error")

// appendObject appends [channel, data].
func appendObject(b []byte, channel uint16, data []byte) []byte {
	b = msgpack.AppendArray(b, 2)
	b = msgpack.AppendUint(b, uint64(channel))
	return msgpack.AppendBytes(b, data)
}

// readHeader reads everything of an object but its data, and the data's length.
func readHeader(r *bufio.Reader) (channel uint16, n int, err error) {
	c, err := r.ReadByte()
	if err != nil {
		return 0, 0, err // io.EOF between objects is a clean end
	}
	defer func() {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}()
	count := uint64(c & 0x0f)
	switch {
	case c&0xf0 == 0x90:
	case c == 0xdc:
		count, err = readUint(r, 2)
	case c == 0xdd:
		count, err = readUint(r, 4)
	default:
		return 0, 0, fmt.Errorf("%w: object begins with %#02x", ErrProtocol, c)
	}
	if err != nil {
		return 0, 0, err
	}
	if count != 2 {
		return 0, 0, fmt.Errorf("%w: array of %d", ErrProtocol, count)
	}
	if c, err = r.ReadByte(); err != nil {
		return 0, 0, err
	}
	num := uint64(c)
	switch {
	case c < 0x80:
	case c >= 0xcc && c <= 0xcf:
		num, err = readUint(r, 1<<(c-0xcc))
	case c >= 0xd0 && c <= 0xd3: // signed forms of small numbers
		bytes := 1 << (c - 0xd0)
		if num, err = readUint(r, bytes); num >= 1<<(8*bytes-1) {
			return 0, 0, fmt.Errorf("%w: negative channel number", ErrProtocol)
		}
	default:
		return 0, 0, fmt.Errorf("%w: channel number has code %#02x", ErrProtocol, c)
	}
	if err != nil {
		return 0, 0, err
	}
	if num > protocolChannel {
		return 0, 0, fmt.Errorf("%w: channel %d", ErrProtocol, num)
	}
	if c, err = r.ReadByte(); err != nil {
		return 0, 0, err
	}
	if c < 0xc4 || c > 0xc6 {
		return 0, 0, fmt.Errorf("%w: data has code %#02x", ErrProtocol, c)
	}
	length, err := readUint(r, 1<<(c-0xc4))
	if err != nil {
		return 0, 0, err
	}
	if length > maxData {
		return 0, 0, fmt.Errorf("%w: %d bytes of data", ErrProtocol, length)
	}
	return uint16(num), int(length), nil
}

func readUint(r *bufio.Reader, n int) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[8-n:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// state of a channel in a control message.
type state uint8

const (
	stateRequest state = iota
	stateAccept
	stateDecline
)

// control is a message of channel 0.
type control struct {
	name    string
	channel uint16
	state   state
}

func (c control) append(b []byte) []byte {
	b = msgpack.AppendArray(b, 3)
	b = msgpack.AppendString(b, c.name)
	b = msgpack.AppendUint(b, uint64(c.channel))
	return msgpack.AppendUint(b, uint64(c.state))
}

// protocol is a message of channel 65535; fields that were absent are nil.
type protocol struct {
	version *uint64
	beacon  *bool // true asks, false answers
}

func (p protocol) append(b []byte) []byte {
	switch {
	case p.version != nil:
		b = msgpack.AppendString(msgpack.AppendMap(b, 1), "v")
		return msgpack.AppendUint(b, *p.version)
	default:
		b = msgpack.AppendString(msgpack.AppendMap(b, 1), "p")
		return msgpack.AppendBool(b, *p.beacon)
	}
}

// readMessages reads the data of channel 0 or 65535, where several messages
// may follow each other and either kind may stand on either channel.
func readMessages(data []byte, onControl func(control), onProtocol func(protocol)) error {
	r := msgpack.NewReader(data)
	for r.Err() == nil && r.Len() > 0 {
		switch r.Kind() {
		case msgpack.Array:
			c, err := readControl(r)
			if err != nil {
				return err
			}
			onControl(c)
		case msgpack.Map:
			p := readProtocol(r)
			if r.Err() == nil {
				onProtocol(p)
			}
		default:
			return fmt.Errorf("%w: neither request nor version", ErrProtocol)
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}

func readControl(r *msgpack.Reader) (control, error) {
	if n := r.Array(); n < 3 && r.Err() == nil {
		return control{}, fmt.Errorf("%w: request of %d fields", ErrProtocol, n)
	} else {
		c := control{name: r.Str()}
		c.channel = uint16(r.UintMax(protocolChannel))
		s := r.UintMax(255)
		for ; n > 3 && r.Err() == nil; n-- {
			r.Skip()
		}
		if err := r.Err(); err != nil {
			return control{}, fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		if s > uint64(stateDecline) || len(c.name) > maxName {
			return control{}, fmt.Errorf("%w: state %d, name of %d bytes", ErrProtocol, s, len(c.name))
		}
		c.state = state(s)
		return c, nil
	}
}

func readProtocol(r *msgpack.Reader) protocol {
	var p protocol
	for n := r.Map(); n > 0 && r.Err() == nil; n-- {
		switch key := r.Key(); {
		case key == "v" && r.Kind() == msgpack.Uint:
			v := r.Uint()
			p.version = &v
		case key == "p" && r.Kind() == msgpack.Bool:
			b := r.Bool()
			p.beacon = &b
		default:
			r.Skip()
		}
	}
	return p
}
