package main

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/mixer/av"
)

// buildInfo is always 1; its labels say what runs.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rendezvous_build_info", Help: "1; the labels say which version of the host runs, and of what it was built with.",
		ConstLabels: prometheus.Labels{"version": currentVersion(), "revision": revision(), "goversion": runtime.Version(), "ffmpeg": av.Version()},
	}, func() float64 { return 1 })
}

// revision is the commit that was built, as far as go build knows.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
