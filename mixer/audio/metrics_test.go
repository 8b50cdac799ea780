package audio_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics returns a registry and a way to read a counter or gauge in it.
func metrics(t *testing.T) (*prometheus.Registry, func(name string) float64) {
	reg := prometheus.NewRegistry()
	return reg, func(name string) float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == name {
				m := f.GetMetric()[0]
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		t.Fatalf("there is no metric %q", name)
		return 0
	}
}
