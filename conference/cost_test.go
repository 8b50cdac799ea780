package conference

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"rendezvous/conference/settings"
)

// Each room has its series as long as there is the room.
func TestCosts(t *testing.T) {
	h := newHost(t, Config{}, settings.Room{ID: "a"}, settings.Room{ID: "b"})
	reg := prometheus.NewRegistry()
	reg.MustRegister(NewCosts(h))
	series := func() (out []string) {
		families, err := reg.Gather()
		require.NoError(t, err)
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		require.NoError(t, err)
		require.Empty(t, problems)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				labels := []string{}
				for _, l := range m.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				require.Zero(t, m.GetCounter().GetValue(), "nobody was there")
				out = append(out, strings.Join(labels, " "))
			}
		}
		return out
	}
	require.Equal(t, []string{"a compose", "a decode", "a encode", "a sound", "b compose", "b decode", "b encode", "b sound"}, series())
	made := settings.Default()
	made.ID = "made"
	_, err := h.Create(made)
	require.NoError(t, err)
	require.Contains(t, series(), "made encode")
	require.NoError(t, h.Delete("made"))
	require.Len(t, series(), 8)
}
