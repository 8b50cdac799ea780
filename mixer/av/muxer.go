package av

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// Track describes one track of a file.
type Track struct {
	Codec         string // "H264" (Annex B access units) or "opus"
	Width, Height int    // video only, in pixels
	Channels      int    // audio only, 1 or 2
	Title         string // shown by players, e.g. whose sound it is; may be empty
}

// Clock is the unit of the track's times: ticks per second.
func (t Track) Clock() int {
	if t.Codec == "H264" {
		return 90000
	}
	return 48000
}

func (t Track) video() bool { return t.Codec == "H264" }

// MuxerConfig says what kind of file a Muxer writes, and how much of it a crash may cost.
type MuxerConfig struct {
	Format   string // "mp4" (fragmented, any tracks) or "ogg" (one Opus track)
	Tracks   []Track
	Fragment time.Duration // at most this much is held in memory; 0 means 1 s
}

// MuxPacket is one encoded picture or frame of sound. Times are in ticks of its track's
// Clock, on one time line for all tracks; the file starts at the first that is written to it.
type MuxPacket struct {
	Track    int
	PTS, DTS int64
	Duration int64
	Key      bool // always true for sound
	Data     []byte
}

// Muxer writes packets into a file that can be cut off anywhere and still plays up
// to its last fragment. Whole fragments go to the writer in one Write each. It is
// used from one goroutine.
//
// An MP4's header needs the parameter sets of the video, so nothing is written
// before the first key frame of every video track; sound that is earlier waits for it.
type Muxer struct {
	cfg  MuxerConfig
	w    io.Writer
	fc   *astiav.FormatContext
	sink *C.shim_sink
	pin  runtime.Pinner
	pkt  *astiav.Packet
	err  error // sticky: the first failure

	header  bool
	params  [][]byte // per track: SPS and PPS, once seen
	waiting []MuxPacket
	next    []int64 // per track: the lowest DTS that may follow
	started []bool
	begun   bool          // something has been written
	from    time.Duration // when what was written first begins
}

// maxWaiting bounds the packets held before the header, some seconds of a few tracks' sound.
const maxWaiting = 1024

// NewMuxer starts a file on w. The caller closes w after the muxer. It fails for a format or
// a track that cannot be written: an MP4 takes H264 of a known size and Opus, an Ogg just one
// track of Opus. Nothing has been written to w then, unless w itself has failed.
func NewMuxer(w io.Writer, cfg MuxerConfig) (*Muxer, error) {
	quiet()
	if cfg.Fragment <= 0 {
		cfg.Fragment = time.Second
	}
	if len(cfg.Tracks) == 0 {
		return nil, errors.New("av: a file without tracks")
	}
	for i, t := range cfg.Tracks {
		switch {
		case t.Codec == "H264" && cfg.Format == "mp4" && t.Width > 0 && t.Height > 0:
		case t.Codec == "opus" && (t.Channels == 1 || t.Channels == 2):
		default:
			return nil, fmt.Errorf("av: track %d (%s, %dx%d, %d channels) cannot be written to %s", i, t.Codec, t.Width, t.Height, t.Channels, cfg.Format)
		}
	}
	if cfg.Format == "ogg" && len(cfg.Tracks) != 1 || cfg.Format != "ogg" && cfg.Format != "mp4" {
		return nil, fmt.Errorf("av: cannot write %d tracks as %q", len(cfg.Tracks), cfg.Format)
	}
	fc, err := astiav.AllocOutputFormatContext(nil, cfg.Format, "")
	if err != nil {
		return nil, fmt.Errorf("av: no writer for %s: %w", cfg.Format, errno(err))
	}
	n := len(cfg.Tracks)
	m := &Muxer{
		cfg: cfg, w: w, fc: fc, sink: new(C.shim_sink), pkt: astiav.AllocPacket(),
		params: make([][]byte, n), next: make([]int64, n), started: make([]bool, n),
	}
	m.pin.Pin(m.sink)
	if C.shim_sink_open(m.format(), m.sink) == nil {
		m.free()
		return nil, errors.New("av: out of memory for a file's buffer")
	}
	if err := m.start(); err != nil {
		m.free()
		return nil, err
	}
	return m, nil
}

func (m *Muxer) format() *C.AVFormatContext { return (*C.AVFormatContext)(formatPointer(m.fc)) }

// start writes the header once the parameter sets of all video tracks are known.
func (m *Muxer) start() error {
	for i, t := range m.cfg.Tracks {
		if t.video() && m.params[i] == nil {
			return nil
		}
	}
	for i, t := range m.cfg.Tracks {
		st := m.fc.NewStream(nil)
		if st == nil {
			return errors.New("av: out of memory for a track")
		}
		st.SetTimeBase(astiav.NewRational(1, t.Clock()))
		cp := st.CodecParameters()
		if t.video() {
			cp.SetMediaType(astiav.MediaTypeVideo)
			cp.SetCodecID(astiav.CodecIDH264)
			cp.SetWidth(t.Width)
			cp.SetHeight(t.Height)
			cp.SetPixelFormat(astiav.PixelFormatYuv420P)
			if err := cp.SetExtraData(m.params[i]); err != nil {
				return err
			}
		} else {
			layout := astiav.ChannelLayoutMono
			if t.Channels == 2 {
				layout = astiav.ChannelLayoutStereo
			}
			cp.SetMediaType(astiav.MediaTypeAudio)
			cp.SetCodecID(astiav.CodecIDOpus)
			cp.SetSampleRate(48000)
			cp.SetChannelLayout(layout)
			cp.SetFrameSize(960)
			if err := cp.SetExtraData(opusHead(t.Channels)); err != nil {
				return err
			}
		}
		if t.Title != "" {
			C.shim_set_title(m.format(), C.int(i), (*C.char)(unsafe.Pointer(unsafe.StringData(t.Title+"\x00"))))
		}
	}
	options := map[string]string{}
	switch m.cfg.Format {
	case "mp4":
		// The movie's header describes no samples; every fragment stands alone and begins
		// by time, whether or not there is a key frame.
		options["movflags"] = "+empty_moov+default_base_moof"
		options["frag_duration"] = fmt.Sprint(m.cfg.Fragment.Microseconds())
	case "ogg":
		options["page_duration"] = fmt.Sprint(m.cfg.Fragment.Microseconds())
	}
	d := astiav.NewDictionary()
	defer d.Free()
	for k, v := range options {
		if err := d.Set(k, v, 0); err != nil {
			return err
		}
	}
	if err := m.fc.WriteHeader(d); err != nil {
		return fmt.Errorf("av: writing the file's header: %w", errno(err))
	}
	m.header = true
	return m.drain()
}

// opusHead is the identification header of RFC 7845 §5.1, with libopus' usual pre-skip.
func opusHead(channels int) []byte {
	const preSkip = 312
	return []byte{'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, byte(channels), preSkip & 0xff, preSkip >> 8, 0x80, 0xbb, 0, 0, 0, 0, 0}
}

// WritePacket adds one packet. Within a track, times that do not grow are moved to
// just after the packet before. An error of the writer (for instance syscall.ENOSPC) is
// returned, wrapped, by this and every later call.
func (m *Muxer) WritePacket(p MuxPacket) error {
	switch {
	case m.fc == nil:
		return ErrClosed
	case m.err != nil:
		return m.err
	case p.Track < 0 || p.Track >= len(m.cfg.Tracks):
		return fmt.Errorf("av: no track %d", p.Track)
	case len(p.Data) == 0:
		return nil
	}
	if !m.header {
		return m.hold(p)
	}
	return m.write(p)
}

// hold keeps p until the header can be written, which p itself may allow.
func (m *Muxer) hold(p MuxPacket) error {
	if m.cfg.Tracks[p.Track].video() && m.params[p.Track] == nil {
		if !p.Key {
			return nil // nobody could decode it
		}
		if m.params[p.Track] = parameterSets(p.Data); m.params[p.Track] == nil {
			return errors.New("av: a key frame without parameter sets")
		}
	}
	p.Data = append([]byte(nil), p.Data...)
	m.waiting = append(m.waiting, p)
	if len(m.waiting) > maxWaiting {
		m.waiting = m.waiting[1:]
	}
	if m.err = m.start(); m.err != nil || !m.header {
		return m.err
	}
	// Sound from before the pictures would begin the file with black: leave it out.
	first := m.videoStart()
	for _, p := range m.waiting {
		t := m.cfg.Tracks[p.Track]
		if time.Duration(p.PTS+p.Duration)*time.Second/time.Duration(t.Clock()) < first {
			continue
		}
		if err := m.write(p); err != nil {
			return err
		}
	}
	m.waiting = nil
	return nil
}

// videoStart is the time of the first picture that waits.
func (m *Muxer) videoStart() time.Duration {
	for _, p := range m.waiting {
		if t := m.cfg.Tracks[p.Track]; t.video() {
			return time.Duration(p.PTS) * time.Second / time.Duration(t.Clock())
		}
	}
	return -1 << 62
}

// begin is when the packet begins, on the time line of all tracks.
func (m *Muxer) begin(p MuxPacket) time.Duration {
	return time.Duration(p.PTS) * time.Second / time.Duration(m.cfg.Tracks[p.Track].Clock())
}

func (m *Muxer) write(p MuxPacket) error {
	i := p.Track
	// Sound that comes late and belongs before the file's first picture has no place in it: FFmpeg would crowd
	// all such packets together at the start, a tick after each other.
	if at := m.begin(p); !m.begun {
		m.begun, m.from = true, at
	} else if at < m.from && !m.cfg.Tracks[i].video() {
		return nil
	}
	if m.started[i] && p.DTS < m.next[i] {
		p.DTS = m.next[i]
	}
	p.PTS = max(p.PTS, p.DTS)
	m.next[i], m.started[i] = p.DTS+1, true
	key := C.int(0)
	if p.Key {
		key = 1
	}
	ret := C.shim_write_packet(m.format(), (*C.AVPacket)(packetPointer(m.pkt)), C.int(i),
		(*C.uint8_t)(unsafe.Pointer(&p.Data[0])), C.int(len(p.Data)),
		C.int64_t(p.PTS), C.int64_t(p.DTS), C.int64_t(p.Duration), key)
	if ret < 0 {
		m.err = fmt.Errorf("av: writing to track %d: %w", i, errno(astiav.Error(ret)))
		return m.err
	}
	return m.drain()
}

// Flush ends the fragment now, so that all packets so far are in the file. Before the header,
// which waits for the first key frame, it does nothing. An error is the writer's, or the first
// one that the muxer had; ErrClosed after Close.
func (m *Muxer) Flush() error {
	if m.fc == nil {
		return ErrClosed
	}
	if m.err != nil || !m.header {
		return m.err
	}
	if ret := C.shim_write_packet(m.format(), nil, 0, nil, 0, 0, 0, 0, 0); ret < 0 {
		m.err = fmt.Errorf("av: ending a fragment: %w", errno(astiav.Error(ret)))
		return m.err
	}
	return m.drain()
}

// drain hands what the format has written to the writer.
func (m *Muxer) drain() error {
	if m.sink.size == 0 || m.err != nil {
		return m.err
	}
	_, err := m.w.Write(unsafe.Slice((*byte)(unsafe.Pointer(m.sink.data)), int(m.sink.size)))
	m.sink.size = 0
	if err != nil {
		m.err = fmt.Errorf("av: writing the file: %w", err)
	}
	return m.err
}

// Close ends the file and frees the muxer. It returns the first error of its life.
func (m *Muxer) Close() error {
	if m.fc == nil {
		return m.err
	}
	if m.header && m.err == nil {
		if err := m.fc.WriteTrailer(); err != nil {
			m.err = fmt.Errorf("av: ending the file: %w", errno(err))
		} else {
			C.avio_flush(m.format().pb)
			m.err = m.drain()
		}
	} else if m.header {
		// The format frees what it holds only here; what it writes goes nowhere.
		_ = m.fc.WriteTrailer()
	}
	m.free()
	return m.err
}

func (m *Muxer) free() {
	C.shim_sink_close(m.format(), m.sink)
	m.fc.Free()
	m.pkt.Free()
	m.pin.Unpin()
	m.fc, m.waiting = nil, nil
}

// parameterSets are the SPS and PPS units of an Annex B access unit, nil if one is missing.
func parameterSets(au []byte) []byte {
	var out []byte
	var sps, pps bool
	for nal := range NALUnits(au) {
		switch nal[0] & 0x1f {
		case 7:
			sps = true
		case 8:
			pps = true
		default:
			continue
		}
		out = append(append(out, 0, 0, 0, 1), nal...)
	}
	if !sps || !pps {
		return nil
	}
	return out
}

// errno makes a system's error out of FFmpeg's where it is one, so that callers can
// ask errors.Is(err, syscall.ENOSPC).
func errno(err error) error {
	var e astiav.Error
	if errors.As(err, &e) && e < 0 && e > -200 {
		return syscall.Errno(-int(e))
	}
	return err
}
