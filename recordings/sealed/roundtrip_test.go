//go:build !race

// One goroutine, and every way to read: nothing for the race detector.

package sealed

import (
	"bytes"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestRoundTrip(t *testing.T) {
	k := key(t, 1)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 8192, 3*4096 - 1, 16 * 4096, 16*4096 + 1, 40*4096 + 17} {
		clear := text(size)
		for _, piece := range []int{1000, 4096, 70000} {
			sealed := written(t, k, clear, piece, true)
			require.Len(t, sealed, 32+size+16*(size/4096+1))
			got, err := read(sealed, key(t, 9), k)
			require.NoError(t, err)
			require.True(t, bytes.Equal(clear, got), "%d bytes", size)
		}
		got, err := read(Seal(k, clear), k)
		require.NoError(t, err)
		require.True(t, bytes.Equal(clear, got), "%d bytes in one go", size)
		sealed := Seal(k, clear)
		r, err := NewReader(bytes.NewReader(sealed), int64(len(sealed)), Keyring{k})
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(r, clear), "%d bytes: Read, ReadAt and Seek as io wants them", size)
	}
	require.NotEqual(t, Seal(k, nil), Seal(k, nil), "each file has a salt of its own")
}
