package main

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"rendezvous/mixer"
	"rendezvous/mixer/leg"
)

// mixerPicture measures the mixer alone: legs of so many senders and of one watcher, whose packets come from memory and go
// nowhere. Between it and the bare work lies what the mixer adds; between it and the host, the network.
func mixerPicture(streams [][][]byte, senders int, length time.Duration) (w work, err error) {
	m := mixer.New(mixer.Config{})
	defer m.Close()
	stop := make(chan struct{})
	var sending sync.WaitGroup
	packets := make([][][][]byte, len(streams)) // of stream, picture, number
	for i, s := range streams {
		for _, picture := range s {
			packets[i] = append(packets[i], cut(picture))
		}
	}
	var ends []func()
	defer func() {
		close(stop)
		sending.Wait()
		for _, end := range ends {
			end()
		}
	}()
	join := func(name string, media leg.Media) (*pipe, error) {
		p, l := newPipe(), leg.New(leg.Config{})
		ends = append(ends, func() {
			m.Remove(name)
			p.close()
			l.Close()
		})
		media.Kind, media.Transport = leg.Video, p
		if _, err := l.Attach(media); err != nil {
			return nil, err
		}
		m.Add(name, l, mixer.Attributes{Name: name, Invisible: media.Send.Name != ""})
		return p, nil
	}
	for i := range senders {
		p, err := join(fmt.Sprintf("Sender %d", i+1), leg.Media{Receive: []leg.Codec{h264}, SSRC: uint32(1000 + i)})
		if err != nil {
			return w, err
		}
		f := feed{pipe: p, pictures: packets[i%len(packets)], ssrc: uint32(i + 1)}
		phase := time.Second / clipFPS * time.Duration(i*7%senders) / time.Duration(senders)
		sending.Go(func() {
			time.Sleep(phase)
			every(time.Second/clipFPS, stop, f.send)
		})
	}
	received := &counts{}
	watcher, err := join("Watcher", leg.Media{Send: h264, SSRC: 1})
	if err != nil {
		return w, err
	}
	watcher.out = func(h *rtp.Header, payload []byte) {
		received.bytes.Add(int64(len(payload)))
		if h.Marker {
			received.pictures.Add(1)
		}
	}
	time.Sleep(3 * time.Second)
	fromBytes, fromPictures, from, began := received.bytes.Load(), received.pictures.Load(), used(), time.Now()
	time.Sleep(length)
	took := time.Since(began).Seconds()
	w.cpu = (used() - from).Seconds() / took
	w.rate = float64(received.bytes.Load()-fromBytes) * 8 / took / 1000
	w.fps = float64(received.pictures.Load()-fromPictures) / took
	return w, nil
}

// cut makes a picture's RTP packets, without numbers and time.
func cut(picture []byte) (packets [][]byte) {
	payloads := (&codecs.H264Payloader{}).Payload(1188, picture)
	for i, payload := range payloads {
		b, err := (&rtp.Packet{
			Header: rtp.Header{Version: 2, PayloadType: h264.PayloadType, Marker: i == len(payloads)-1}, Payload: payload,
		}).Marshal()
		if err != nil {
			panic(err) // of a header without extensions
		}
		packets = append(packets, b)
	}
	return packets
}

// feed is a camera that sends the same pictures over and over.
type feed struct {
	pipe     *pipe
	pictures [][][]byte
	ssrc     uint32
	seq      uint16
	ring     [512][1500]byte // what the leg has not copied yet
}

func (f *feed) send(n int) {
	for _, p := range f.pictures[n%len(f.pictures)] {
		b := f.ring[f.seq%uint16(len(f.ring))][:len(p)]
		copy(b, p)
		binary.BigEndian.PutUint16(b[2:], f.seq)
		binary.BigEndian.PutUint32(b[4:], uint32(n)*3000)
		binary.BigEndian.PutUint32(b[8:], f.ssrc)
		f.seq++
		f.pipe.send(b)
	}
}
