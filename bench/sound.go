package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/pprof"
	"time"

	"github.com/pion/rtp"

	"rendezvous/mixer"
	"rendezvous/mixer/audio"
	"rendezvous/mixer/audio/codec"
	"rendezvous/mixer/leg"
)

const (
	soundLegs = 50
	talkers   = 10
	levelID   = 1 // of the audio level header extension (RFC 6464)
	unleveled = 255
)

var opus = leg.Codec{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}

// sound measures a mixer with callers whose packets come from memory: what one caller
// costs beyond libopus itself.
func sound(o options) ([]figure, error) {
	voice, err := speech()
	if err != nil {
		return nil, err
	}
	hiss, err := background()
	if err != nil {
		return nil, err
	}
	var bare, dtx, levels, plain, talking, ratioDTX, ratioLevels, ratioPlain, ratioTalking []float64
	for run := range o.runs {
		o.say(run, "bare codec")
		b, err := bareOpus(voice, o.length)
		if err != nil {
			return nil, err
		}
		o.say(run, "a room of callers who are silent, DTX")
		idle, err := roomOf(voice, hiss, room{dtx: soundLegs}, o.length/2)
		if err != nil {
			return nil, err
		}
		o.say(run, "a room of callers who are silent, with levels")
		leveled, err := roomOf(voice, hiss, room{leveled: soundLegs}, o.length/2)
		if err != nil {
			return nil, err
		}
		o.say(run, "a room of callers who are silent, with neither")
		bareRoom, err := roomOf(voice, hiss, room{plain: soundLegs}, o.length/2)
		if err != nil {
			return nil, err
		}
		o.say(run, "a room in which %d talk", talkers)
		stop, err := o.profileSelf(run)
		if err != nil {
			return nil, err
		}
		mixed, err := roomOf(voice, hiss, room{talking: talkers, dtx: soundLegs - talkers}, o.length/2)
		stop()
		if err != nil {
			return nil, err
		}
		d, l, n := idle/soundLegs, leveled/soundLegs, bareRoom/soundLegs
		t := (mixed - d*(soundLegs-talkers)) / talkers
		bare, dtx, levels, plain, talking = append(bare, b), append(dtx, d), append(levels, l), append(plain, n), append(talking, t)
		ratioDTX, ratioLevels, ratioPlain, ratioTalking = append(ratioDTX, d/b), append(ratioLevels, l/b), append(ratioPlain, n/b), append(ratioTalking, t/b)
	}
	const goal = "goal: at most 0.25"
	return []figure{
		{"Sound/bare", "bare: libopus, one decode and one encode", "s/s", bare, ""},
		{"Sound/silent/dtx", "a silent caller, DTX", "s/s", dtx, ""},
		{"Sound/silent/dtx", "a silent caller, DTX / bare", "x-bare", ratioDTX, goal},
		{"Sound/silent/levels", "a silent caller, 50 packets a second with levels", "s/s", levels, ""},
		{"Sound/silent/levels", "a silent caller, 50 packets a second with levels / bare", "x-bare", ratioLevels, goal},
		{"Sound/silent/plain", "a silent caller, 50 packets a second of background", "s/s", plain, ""},
		{"Sound/silent/plain", "a silent caller, 50 packets a second of background / bare", "x-bare", ratioPlain, goal},
		{"Sound/talking", fmt.Sprintf("a talking caller, one of %d", talkers), "s/s", talking, ""},
		{"Sound/talking", fmt.Sprintf("a talking caller, one of %d / bare", talkers), "x-bare", ratioTalking, ""},
	}, nil
}

// profileSelf starts the CPU profile of the last run, if one was asked for, and returns what ends it.
func (o options) profileSelf(run int) (stop func(), err error) {
	if o.profile == "" || run < o.runs-1 {
		return func() {}, nil
	}
	f, err := os.Create(o.profile)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// speech is ten seconds of something that is loud and soft like a voice, encoded.
func speech() ([][]byte, error) {
	noise := rand.New(rand.NewPCG(1, 2))
	return encoded(func(sample int) float64 {
		t := float64(sample) / audio.SampleRate
		pitch := 140 + 30*math.Sin(2*math.Pi*0.7*t)
		v := 0.0
		for k := 1.0; k < 12; k++ {
			v += math.Sin(2*math.Pi*pitch*k*t) / k
		}
		syllable := 0.55 + 0.45*math.Sin(2*math.Pi*4*t)
		return 5000*v*syllable + 300*noise.NormFloat64()
	})
}

// background is ten seconds of a quiet room at -70 dBov.
func background() ([][]byte, error) {
	noise := rand.New(rand.NewPCG(3, 4))
	return encoded(func(int) float64 { return 10 * noise.NormFloat64() })
}

func encoded(sound func(sample int) float64) ([][]byte, error) {
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: 32000})
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	var packets [][]byte
	var pcm [audio.FrameSamples]int16
	for n := range 500 {
		for i := range pcm {
			pcm[i] = int16(sound(n*audio.FrameSamples + i))
		}
		p, err := enc.Encode(nil, pcm[:])
		if err != nil {
			return nil, err
		}
		packets = append(packets, p)
	}
	return packets, nil
}

// bareOpus is the CPU time per second of decoding and encoding one stream.
func bareOpus(voice [][]byte, length time.Duration) (float64, error) {
	dec, err := codec.NewDecoder(codec.Params{Name: "opus", Channels: 1})
	if err != nil {
		return 0, err
	}
	defer dec.Close()
	enc, err := codec.NewEncoder(codec.Params{Name: "opus", Channels: 1, Bitrate: 32000})
	if err != nil {
		return 0, err
	}
	defer enc.Close()
	pcm := make([]int16, codec.MaxSamples)
	var packet []byte
	begin := used()
	for n := range int(length / audio.FrameDuration) {
		if _, err := dec.Decode(pcm, voice[n%len(voice)]); err != nil {
			return 0, err
		}
		if packet, err = enc.Encode(packet[:0], pcm[:audio.FrameSamples]); err != nil {
			return 0, err
		}
	}
	return (used() - begin).Seconds() / length.Seconds(), nil
}

// caller is a leg whose far end is this program.
type caller struct {
	leg  *leg.Leg
	pipe *pipe
	seq  uint16
	time uint32
	ssrc uint32
}

func newCaller(n int) (*caller, error) {
	c := &caller{leg: leg.New(leg.Config{}), pipe: newPipe(), ssrc: uint32(n + 1)}
	_, err := c.leg.Attach(leg.Media{
		Kind: leg.Audio, Transport: c.pipe, Receive: []leg.Codec{opus}, Send: opus, SSRC: uint32(1000 + n), LevelExt: levelID,
	})
	return c, err
}

func (c *caller) close() {
	c.pipe.close()
	c.leg.Close()
}

// speak sends 20 ms. level is in -dBov, or unleveled.
func (c *caller) speak(payload []byte, level uint8) error {
	h := rtp.Header{Version: 2, PayloadType: opus.PayloadType, SequenceNumber: c.seq, Timestamp: c.time, SSRC: c.ssrc}
	if level != unleveled {
		if err := h.SetExtension(levelID, []byte{level}); err != nil {
			return err
		}
	}
	b, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
	if err != nil {
		return err
	}
	c.pipe.send(b)
	c.seq++
	return nil
}

// room is how many are in it who talk, who are silent but send packets with levels, or packets of their background without, and who are
// silent with DTX: a packet of comfort noise every 400 ms (RFC 7587 §3.1.3).
type room struct{ talking, leveled, plain, dtx int }

// roomOf is the CPU time per second of a room.
func roomOf(voice, hiss [][]byte, r room, length time.Duration) (float64, error) {
	m := mixer.New(mixer.Config{})
	defer m.Close()
	var callers []*caller
	defer func() {
		for i, c := range callers {
			m.Remove(fmt.Sprint(i))
			c.close()
		}
	}()
	for i := range r.talking + r.leveled + r.plain + r.dtx {
		c, err := newCaller(i)
		if err != nil {
			return 0, err
		}
		callers = append(callers, c)
		m.Add(fmt.Sprint(i), c.leg, mixer.Attributes{Name: fmt.Sprint("Caller ", i)})
	}
	quiet := []byte{0xf8, 0xff, 0xfe}
	stop := make(chan struct{})
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every(audio.FrameDuration, stop, func(n int) {
			for i, c := range callers {
				var err error
				switch {
				case i < r.talking:
					err = c.speak(voice[(n+i*37)%len(voice)], 30)
				case i >= r.talking+r.leveled && i < r.talking+r.leveled+r.plain:
					err = c.speak(hiss[(n+i*37)%len(hiss)], unleveled)
				case i < r.talking+r.leveled, n%20 == i%20:
					err = c.speak(quiet, 127)
				}
				if err != nil && failed == nil {
					failed = err
				}
				c.time += audio.FrameSamples
			}
		})
	}()
	time.Sleep(2 * time.Second)
	from, began := used(), time.Now()
	time.Sleep(length)
	cpu := (used() - from).Seconds() / time.Since(began).Seconds()
	close(stop)
	<-ended
	return cpu, failed
}
