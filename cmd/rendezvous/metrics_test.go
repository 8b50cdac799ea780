package main

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"rendezvous/internal/config"
	"rendezvous/mixer/av"
)

// filled is a registry in which every metric with labels has a value, for one without is not seen.
type filled struct {
	*prometheus.Registry
	t *testing.T
}

func (f filled) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		f.fill(c)
	}
	f.Registry.MustRegister(all...)
}

func (f filled) Register(c prometheus.Collector) error {
	f.fill(c)
	return f.Registry.Register(c)
}

// labels are those of a metric, as its description prints them.
var labels = regexp.MustCompile(`variableLabels: \{([^}]*)\}`)

func (f filled) fill(c prometheus.Collector) {
	described := make(chan *prometheus.Desc, 1000)
	c.Describe(described)
	close(described)
	for d := range described {
		found := labels.FindStringSubmatch(d.String())
		require.NotNil(f.t, found, d.String())
		if found[1] == "" {
			continue
		}
		values := strings.Split(found[1], ",")
		switch vec := c.(type) {
		case *prometheus.CounterVec:
			vec.WithLabelValues(values...)
		case *prometheus.GaugeVec:
			vec.WithLabelValues(values...)
		case *prometheus.HistogramVec:
			vec.WithLabelValues(values...)
		case *prometheus.SummaryVec:
			vec.WithLabelValues(values...)
		}
	}
}

// All metrics of a host are named as Prometheus wants it: this is what promtool check metrics looks at.
func TestMetricsAreNamedWell(t *testing.T) {
	cfg, err := config.Load(config.Source{File: "../../config.yaml"})
	require.NoError(t, err)
	cfg.Data = t.TempDir()
	cfg.Web.ACME.Domains = []string{"meet.example.org"} // nobody asks for a certificate before the doors are open
	cfg.Rooms, cfg.Jami.Bootstrap, cfg.Jami.STUN = nil, nil, nil
	registry := prometheus.NewRegistry()
	h := &house{log: slog.New(slog.DiscardHandler), level: &slog.LevelVar{}, registry: filled{registry, t}}
	h.cfg.Store(cfg)
	defer h.dismantle()
	require.NoError(t, h.buildAll(cfg))
	require.NoError(t, h.jami.Start(t.Context())) // its parts are made, and have their metrics, then
	h.open = append(h.open, h.jami)

	families, err := h.registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	var ours int
	info := ""
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "rendezvous_") {
			ours++
		}
		if f.GetName() == "rendezvous_build_info" {
			info = fmt.Sprint(f.GetMetric()[0])
		}
	}
	require.Greater(t, ours, 70)
	require.Contains(t, info, `value:"`+av.Version()+`"`)
	require.Contains(t, info, `name:"revision"`)

	// What the documentation names is there, also what only rooms have.
	var all strings.Builder
	described := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(described)
		close(described)
	}()
	for d := range described {
		all.WriteString(d.String() + "\n")
	}
	for _, name := range documented(t) {
		require.True(t, strings.Contains(all.String(), `fqName: "`+name+`"`), "%s is named in the documents, the alarms or the dashboard", name)
	}
}

// suffixes are what Prometheus adds to the name of a histogram.
var suffixes = regexp.MustCompile(`_(bucket|sum|count)$`)

// documented are the metrics that operators are told of, by the documents, the alarms and the dashboard.
func documented(t *testing.T) []string {
	t.Helper()
	var out []string
	for file, name := range map[string]string{
		"../../docs/operations.md":  "`(rendezvous_[a-z_]+)`",
		"../../deploy/alerts.yaml":  `\b(rendezvous_[a-z_]+)\b`,
		"../../deploy/grafana.json": `\b(rendezvous_[a-z_]+)\b`,
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		names := regexp.MustCompile(name).FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, names, file)
		for _, n := range names {
			out = append(out, suffixes.ReplaceAllString(n[1], ""))
		}
	}
	return out
}
