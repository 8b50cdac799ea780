package prompts

import (
	"bytes"
	"encoding/binary"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// names reads the constants of type Prompt from the source, so that none is forgotten.
func names(t *testing.T) []Prompt {
	f, err := parser.ParseFile(token.NewFileSet(), "prompts.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []Prompt
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 {
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Prompt" {
				s, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				out = append(out, Prompt(s))
			}
		}
		return true
	})
	return out
}

func TestEveryPromptHasWordsAndSound(t *testing.T) {
	text, err := os.ReadFile("texts.txt")
	if err != nil {
		t.Fatal(err)
	}
	set, err := English()
	if err != nil {
		t.Fatal(err)
	}
	list := names(t)
	if len(list) < 40 {
		t.Fatalf("found only %d prompts in the source", len(list))
	}
	for n := range 100 {
		list = append(list, Number(n)...)
	}
	for _, p := range list {
		if !bytes.Contains(text, []byte("\n"+string(p)+"|")) {
			t.Errorf("%s has no line in texts.txt", p)
		}
		pcm := set.Say(p)
		if len(pcm) < SampleRate/5 {
			t.Errorf("%s lasts only %d samples", p, len(pcm))
		}
		if peak := slices.Max(pcm); peak < 8000 {
			t.Errorf("%s is too quiet: peak %d", p, peak)
		}
	}
}

func TestPromptsStaySmall(t *testing.T) {
	var total int64
	files, _ := filepath.Glob("en/*.wav")
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 1<<20 {
		t.Errorf("prompts take %d bytes, more than 1 MiB", total)
	}
}

// sox decodes and resamples the same file; ours must agree closely.
func TestDecodeAgreesWithSox(t *testing.T) {
	want, err := exec.Command("sox", "en/enter-room.wav", "-t", "raw", "-e", "signed", "-b", "16", "-L", "-").Output()
	if err != nil {
		t.Fatalf("this test needs sox: %v", err)
	}
	b, err := os.ReadFile("en/enter-room.wav")
	if err != nil {
		t.Fatal(err)
	}
	w, err := parseWAV(b)
	if err != nil {
		t.Fatal(err)
	}
	got := w.decode()
	// sox plays the padding of the last block too.
	if len(got) > len(want)/2 || len(got) < len(want)/2-w.perBlock {
		t.Fatalf("got %d samples, sox %d", len(got), len(want)/2)
	}
	for i, v := range got {
		if s := int16(binary.LittleEndian.Uint16(want[2*i:])); s != v {
			t.Fatalf("sample %d is %d, sox says %d", i, v, s)
		}
	}
}

func TestTripleKeepsATone(t *testing.T) {
	in := make([]int16, 1600)
	for i := range in {
		in[i] = int16(10000 * math.Sin(2*math.Pi*1000*float64(i)/16000))
	}
	out := triple(in)
	worst := 0.0
	for i := 100; i < len(out)-100; i++ {
		want := 10000 * math.Sin(2*math.Pi*1000*float64(i)/48000)
		worst = max(worst, math.Abs(want-float64(out[i])))
	}
	if worst > 30 { // -50 dB
		t.Errorf("interpolated tone is off by up to %.0f", worst)
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 20: "20", 42: "40 2", 99: "90 9", 100: "many", -1: "many"} {
		var got []string
		for _, p := range Number(n) {
			got = append(got, string(p))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("Number(%d) = %v, want %s", n, got, want)
		}
	}
	if got := Digits("a1-0"); !slices.Equal(got, []Prompt{"1", "0"}) {
		t.Errorf("Digits = %v", got)
	}
}

func TestTonesDiffer(t *testing.T) {
	if slices.Equal(Entry(), Exit()) || len(Beep()) == 0 {
		t.Error("entry and exit must sound different")
	}
}

func FuzzParseWAV(f *testing.F) {
	b, _ := os.ReadFile("en/1.wav")
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := parseWAV(b); err == nil {
			w.decode()
		}
	})
}
