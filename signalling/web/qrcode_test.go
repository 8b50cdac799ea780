package web

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A code is drawn once, as long as it is among those drawn last, of which so many are kept.
func TestQRCodesAreKept(t *testing.T) {
	c := newQRCodes()
	first, err := c.of("https://meet.example.org/r/a")
	require.NoError(t, err)
	require.Positive(t, first.size)
	c.drawn["https://meet.example.org/r/a"] = qrCode{size: -1}
	again, err := c.of("https://meet.example.org/r/a")
	require.NoError(t, err)
	require.Equal(t, -1, again.size, "it was drawn anew")

	for i := range mostCodes {
		_, err := c.of(fmt.Sprint(i))
		require.NoError(t, err)
	}
	require.Len(t, c.drawn, mostCodes)
	require.Len(t, c.order, mostCodes)
	require.Contains(t, c.drawn, fmt.Sprint(mostCodes-1))
	anew, err := c.of("https://meet.example.org/r/a")
	require.NoError(t, err)
	require.Equal(t, first, anew)
	require.Len(t, c.drawn, mostCodes)

	_, err = c.of(strings.Repeat("x", 5000))
	require.Error(t, err)
	require.Len(t, c.drawn, mostCodes, "what is no code is not kept")
}

func BenchmarkQRCode(b *testing.B) {
	b.Run("kept", func(b *testing.B) {
		c := newQRCodes()
		for b.Loop() {
			_, _ = c.of("https://meet.example.org/r/weekly")
		}
	})
	b.Run("drawn", func(b *testing.B) {
		for b.Loop() {
			_, _ = newQRCodes().of("https://meet.example.org/r/weekly")
		}
	})
}
