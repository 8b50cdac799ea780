package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	const source = `package p
func FuzzOne(f *testing.F) {}
func TestFuzz(t *testing.T) {}
func Fuzzy2(fuzz *testing.F) {}
func FuzzHelper(b []byte) {}
func (FuzzMethod) FuzzThree(f *testing.F) {}
const text = "\nfunc FuzzText(f *testing.F) {}"
`
	got, err := names([]byte(source))
	require.NoError(t, err)
	require.Equal(t, []string{"FuzzOne", "Fuzzy2"}, got)
	_, err = names([]byte("what is this"))
	require.Error(t, err)
}

// Lines as go test prints them.
func TestProgress(t *testing.T) {
	var f fuzzed
	for line := range strings.Lines(`fuzz: elapsed: 0s, gathering baseline coverage: 0/4 completed
fuzz: elapsed: 0s, gathering baseline coverage: 4/4 completed, now fuzzing with 2 workers
fuzz: elapsed: 3s, execs: 10123 (3374/sec), new interesting: 12 (total: 16)
fuzz: minimizing 34-byte failing input file
fuzz: elapsed: 5s, execs: 20456 (4000/sec), new interesting: 15 (total: 19)
PASS
`) {
		f.take(line)
	}
	require.Equal(t, fuzzed{executions: 20456, found: 15}, f)
	require.Equal(t, "20456 executions, 15 new inputs", f.String())
}

// Time that is up is no failure; an input that fails is one whatever else is said.
func TestTimeIsUp(t *testing.T) {
	var f fuzzed
	f.take("--- FAIL: FuzzPackets (21.02s)\n")
	f.take("    context deadline exceeded\n")
	require.Equal(t, fuzzed{late: true}, f)
	f.take("    Failing input written to testdata/fuzz/FuzzPackets/0123456789abcdef\n")
	require.Equal(t, fuzzed{late: true, failing: true}, f)
}

const profile = `mode: set
rendezvous/p/a.go:10.20,12.3 2 1
rendezvous/p/a.go:12.3,14.10 3 0
rendezvous/p/b.go:1.1,2.2 5 0
`

func TestParseProfile(t *testing.T) {
	c, err := parseProfile(profile)
	require.NoError(t, err)
	require.Equal(t, coverage{
		"rendezvous/p/a.go:10.20,12.3": {2, true},
		"rendezvous/p/a.go:12.3,14.10": {3, false},
		"rendezvous/p/b.go:1.1,2.2":    {5, false},
	}, c)
	covered, all := c.statements()
	require.Equal(t, []int{2, 10}, []int{covered, all})

	_, err = parseProfile("mode: set\nwhat is this\n")
	require.ErrorContains(t, err, `line 2 is "what is this"`)
}

func TestGained(t *testing.T) {
	before, err := parseProfile(profile)
	require.NoError(t, err)
	// What was covered before counts, also if by chance it is not covered now.
	after, err := parseProfile(strings.NewReplacer("2 1\n", "2 0\n", "3 0\n", "3 7\n").Replace(profile))
	require.NoError(t, err)
	require.Equal(t, "coverage 20.0 % -> 50.0 % (+3 of 10 statements)", gained(before, after))
	require.True(t, after.adds(before))
	require.False(t, before.adds(before.or(after)))
}

// covers is a measurement in which each input covers the lines that its name's letters stand for.
func covers(in []input) (coverage, error) {
	c := coverage{}
	for line := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", "") {
		c[line] = block{1, slices.ContainsFunc(in, func(i input) bool { return strings.Contains(i.path, line) })}
	}
	return c, nil
}

func chosen(t *testing.T, c chooser, in ...input) (paths []string) {
	t.Helper()
	var err error
	if c.covered == nil {
		c.covered, err = covers(nil)
		require.NoError(t, err)
	}
	if c.cover == nil {
		c.cover = covers
	}
	require.NoError(t, c.choose(in))
	for _, i := range c.chosen {
		paths = append(paths, i.path)
	}
	return paths
}

func TestChoose(t *testing.T) {
	in := []input{{"a", 1}, {"a2", 1}, {"ab", 2}, {"b", 1}, {"0", 1}, {"c", 3}, {"abc", 9}}
	require.Equal(t, []string{"a", "ab", "c"}, chosen(t, chooser{}, in...))

	seeds, err := covers([]input{{"ab", 0}})
	require.NoError(t, err)
	require.Equal(t, []string{"c"}, chosen(t, chooser{covered: seeds}, in...), "what the seeds cover needs no more inputs")
	require.Empty(t, chosen(t, chooser{}))
}

func TestChooseWithinBounds(t *testing.T) {
	in := []input{{"a", 10}, {"b", maxBytes}, {"c", 10}}
	require.Equal(t, []string{"a", "c"}, chosen(t, chooser{}, in...), "the large one has no place any more")
	require.Equal(t, []string{"a"}, chosen(t, chooser{count: maxInputs - 1}, in...))
	require.Empty(t, chosen(t, chooser{bytes: maxBytes}, in...))
}

// What is covered in one run and not in the next is no reason to keep an input.
func TestChooseNotByChance(t *testing.T) {
	runs := 0
	flaky := func(in []input) (coverage, error) {
		runs++
		if runs%2 == 0 {
			in = nil
		}
		return covers(in)
	}
	require.Empty(t, chosen(t, chooser{cover: flaky}, input{"a", 1}))
	require.Equal(t, 2, runs)
}

const subject = `package subject

func Kind(b []byte) int {
	if len(b) > 1 {
		return 1
	}
	return 2
}
`

const subjectTest = `package subject

import (
	"os"
	"testing"
)

func FuzzKind(f *testing.F) {
	seed, err := os.ReadFile("testdata/seed")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if Kind(b) == 0 || string(b) == "bad" {
			t.Fatal("wrong")
		}
	})
}
`

// Of what a cache holds, the smallest input that adds coverage gets into the package's corpus, and
// is a seed from then on.
func TestKeptInputs(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	write(filepath.Join(dir, "go.mod"), "module subject\n")
	write(filepath.Join(dir, "subject.go"), subject)
	write(filepath.Join(dir, "subject_test.go"), subjectTest)
	write(filepath.Join(dir, "testdata/seed"), "x")
	corpus := filepath.Join(cache, "subject", "FuzzKind")
	for name, value := range map[string]string{"0001": "y", "0002": "longer", "0003": "long"} {
		write(filepath.Join(corpus, name), "go test fuzz v1\n[]byte(\""+value+"\")\n")
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "") // which may name a module file of ours

	targets, err := find(t.Context(), []string{"./..."})
	require.NoError(t, err)
	require.Equal(t, []target{{"subject", dir, "FuzzKind"}}, targets)
	o := options{keep: true, only: regexp.MustCompile("")}
	line, err := o.one(t.Context(), targets[0], cache, t.TempDir())
	require.NoError(t, err)
	require.Equal(t, "coverage 66.7 % -> 100.0 % (+1 of 3 statements), 1 inputs kept", line)
	entries, err := os.ReadDir("testdata/fuzz/FuzzKind")
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "0003", entries[0].Name())

	line, err = o.one(t.Context(), targets[0], cache, t.TempDir())
	require.NoError(t, err)
	require.Equal(t, "coverage 100.0 % -> 100.0 % (+0 of 3 statements), 0 inputs kept", line)

	write(filepath.Join(corpus, "0004"), "go test fuzz v1\n[]byte(\"bad\")\n")
	_, err = o.one(t.Context(), targets[0], cache, t.TempDir())
	require.ErrorContains(t, err, "running what is in the cache")
	require.ErrorContains(t, err, "FuzzKind/0004")
}
