package roomlog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBacklog(t *testing.T) {
	b := newBacklog(2)
	require.True(t, b.empty())
	require.Nil(t, b.put(1))
	require.Nil(t, b.put(2))
	require.Equal(t, 1, b.put(3), "the oldest goes")
	b.add(4) // beyond the bound
	for _, want := range []int{2, 3, 4} {
		<-b.more // each time something is left
		v, ok := b.take()
		require.True(t, ok)
		require.Equal(t, want, v)
	}
	_, ok := b.take()
	require.False(t, ok)
	require.True(t, b.empty())
	require.Nil(t, b.items, "an empty one takes no memory")
}
