package benchfmt

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What two programs write one after the other stands in one file, behind its facts.
func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.txt")
	require.NoError(t, os.WriteFile(path, []byte("goos: linux\n\n"), 0o644))
	add := func(name string, values ...Value) {
		t.Helper()
		f, err := Append(path)
		require.NoError(t, err)
		require.NoError(t, f.Add(name, values...))
		require.NoError(t, f.Close())
	}
	add("Picture/host", Value{0.123456789, "s/s"})
	add("Picture/host", Value{0.125, "s/s"}, Value{1.25, "x-bare"})
	add("Jami/callers=2/host=jamid", Value{12345678, "kB"}, Value{0, "1/s"})
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, `goos: linux

BenchmarkPicture/host 1 0.123457 s/s
BenchmarkPicture/host 1 0.125 s/s 1.25 x-bare
BenchmarkJami/callers=2/host=jamid 1 1.23457e+07 kB 0 1/s
`, string(got))

	_, err = Append(filepath.Join(path, "x"))
	require.ErrorContains(t, err, "results: ")
}

func TestNoFile(t *testing.T) {
	f, err := Append("")
	require.NoError(t, err)
	require.NoError(t, f.Add("Sound/bare", Value{1, "s/s"}))
	require.ErrorContains(t, f.Add("sound"), "sound", "mistakes are told all the same")
	require.NoError(t, f.Close())
}

// benchstat leaves a line out that it does not understand.
func TestNothingThatIsNotTheFormat(t *testing.T) {
	one := []Value{{1, "s"}}
	for name, values := range map[string][]Value{
		"":             one,
		"picture":      one,
		"Picture bare": one,
		"Picture\n":    one,
		"Nothing":      nil,
		"NoUnit":       {{1, ""}},
		"TwoWords":     {{1, "s"}, {2, "x bare"}},
		"Unmeasured":   {{math.NaN(), "s"}},
		"ByNothing":    {{math.Inf(1), "x-bare"}},
	} {
		text, err := line(name, values)
		require.Errorf(t, err, "%q: %q", name, text)
	}
}
