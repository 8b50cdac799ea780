package speech

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
)

var _ conference.Speaker = (*Espeak)(nil)

// Needs Debian's package espeak-ng.
func TestSpeak(t *testing.T) {
	e, err := New("en")
	require.NoError(t, err)
	short, err := e.Speak(context.Background(), "Hello.")
	require.NoError(t, err)
	long, err := e.Speak(context.Background(), "Dear all, the meeting will end in five minutes. --help ; rm -rf")
	require.NoError(t, err)
	seconds := func(pcm []int16) float64 { return float64(len(pcm)) / sampleRate }
	require.InDelta(t, 0.8, seconds(short), 0.5)
	require.InDelta(t, 5, seconds(long), 2.5)
	var power float64
	for _, v := range long {
		power += float64(v) * float64(v)
	}
	require.Greater(t, math.Sqrt(power/float64(len(long))), 300.0, "it is heard")

	endless, err := e.Speak(context.Background(), strings.Repeat("word ", 100_000))
	require.NoError(t, err)
	require.LessOrEqual(t, len(endless), maxSound)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = e.Speak(ctx, "Hello.")
	require.Error(t, err)

	unknown, err := New("zzz")
	require.NoError(t, err)
	_, err = unknown.Speak(context.Background(), "Hello.")
	require.ErrorContains(t, err, "speaking")
}

func FuzzParseWAV(f *testing.F) {
	f.Add([]byte("RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x22\x56\x00\x00\x44\xac\x00\x00\x02\x00\x10\x00data\xff\xff\xff\x7f\x01\x00\x02\x00"))
	f.Add([]byte("RIFF\x24\x00\x00\x00WAVEdata"))
	f.Fuzz(func(t *testing.T, b []byte) {
		pcm, rate, err := parseWAV(b)
		if err == nil && (rate < 8000 || len(pcm) > len(b)) {
			t.Fatal(rate, len(pcm))
		}
	})
}
