package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var measured = []figure{
	{"put/p50", "put p50", "ms", 1.25, 10},
	{"values", "values held", "values", 10000, 9999},
	{"memory/empty", "memory, empty", "MB", 12345.678, 1},
}

func TestTable(t *testing.T) {
	var out strings.Builder
	require.NoError(t, table(&out, measured))
	require.Equal(t, `                    ours  dhtnode
        put p50     1.25    10.00      ms
    values held    10000     9999  values
  memory, empty  12345.7      1.0      MB
`, regexp.MustCompile(" +\n").ReplaceAllString(out.String(), "\n"))
}

// Results of a second run follow those of the first.
func TestResults(t *testing.T) {
	p := plan{results: filepath.Join(t.TempDir(), "results.txt")}
	require.NoError(t, p.report(measured))
	require.NoError(t, p.report(measured[:1]))
	got, err := os.ReadFile(p.results)
	require.NoError(t, err)
	require.Equal(t, `BenchmarkDHT/put/p50/node=rendezvous 1 1.25 ms
BenchmarkDHT/put/p50/node=dhtnode 1 10 ms
BenchmarkDHT/values/node=rendezvous 1 10000 values
BenchmarkDHT/values/node=dhtnode 1 9999 values
BenchmarkDHT/memory/empty/node=rendezvous 1 12345.7 MB
BenchmarkDHT/memory/empty/node=dhtnode 1 1 MB
BenchmarkDHT/put/p50/node=rendezvous 1 1.25 ms
BenchmarkDHT/put/p50/node=dhtnode 1 10 ms
`, string(got))
	require.ErrorContains(t, plan{results: t.TempDir()}.report(measured), "results: ")
}
