package main

import (
	"math"
	"strconv"
	"strings"
)

// metrics are what a host tells Prometheus, by name and labels as they stand in the text.
type metrics map[string]float64

// parseMetrics reads the text format (https://prometheus.io/docs/instrumenting/exposition_formats). What is no sample
// is passed over.
func parseMetrics(text string) metrics {
	m := metrics{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			m[line[:i]] = v
		}
	}
	return m
}

// since is by how much each has grown.
func (m metrics) since(before metrics) metrics {
	d := metrics{}
	for k, v := range m {
		d[k] = v - before[k]
	}
	return d
}

// above is the share of a histogram's observations above a bucket's bound, and how many there are in all; NaN if none.
func (m metrics) above(name string, bound float64) (share, count float64) {
	count = m[name+"_count"]
	for k, v := range m {
		rest, ok := strings.CutPrefix(k, name+`_bucket{le="`)
		if !ok {
			continue
		}
		le, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64)
		if err == nil && math.Abs(le-bound) < 1e-9 && count > 0 {
			return (count - v) / count, count
		}
	}
	return math.NaN(), count
}
