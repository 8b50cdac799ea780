package video

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/draw"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
	"golang.org/x/text/unicode/bidi"
)

// line is one line of shaped text: runs in the order in which they are seen, from the left.
type line struct {
	runs  []shaping.Output
	width float64 // pixels
}

// setLine shapes text at a size in pixels, shortened with an ellipsis where it is wider than width.
func (f *fonts) setLine(text string, size float64, width int) line {
	f.mu.Lock()
	defer f.mu.Unlock()
	runes := []rune(text)
	if len(runes) == 0 {
		return line{}
	}
	in := shaping.Input{
		Text: runes, RunEnd: len(runes), Direction: direction(runes),
		Size: fixed.Int26_6(size * 64), Language: "en",
	}
	var segmenter shaping.Segmenter
	var shaper shaping.HarfbuzzShaper
	var outs []shaping.Output
	for _, run := range segmenter.Split(in, f.newResolver(runes)) {
		outs = append(outs, shaper.Shape(run))
	}
	dots := in
	dots.Text, dots.RunEnd, dots.Face = []rune{'…'}, 1, f.general[0]
	config := shaping.WrapConfig{Direction: in.Direction, TruncateAfterLines: 1}.WithTruncator(&shaper, dots)
	var wrapper shaping.LineWrapper
	lines, _ := wrapper.WrapParagraph(config, width, runes, shaping.NewSliceIterator(outs))
	if len(lines) == 0 {
		return line{}
	}
	l := line{runs: slices.Clone([]shaping.Output(lines[0]))}
	slices.SortStableFunc(l.runs, func(a, b shaping.Output) int { return int(a.VisualIndex - b.VisualIndex) })
	for _, run := range l.runs {
		l.width += float64(run.Advance) / 64
	}
	return l
}

// direction is that of the first letter that has one (UAX #9, P2).
func direction(text []rune) di.Direction {
	for _, c := range text {
		p, _ := bidi.LookupRune(c)
		switch p.Class() {
		case bidi.L:
			return di.DirectionLTR
		case bidi.R, bidi.AL:
			return di.DirectionRTL
		}
	}
	return di.DirectionLTR
}

// drawLine draws l with the left end of its base line at x, y.
func (f *fonts) drawLine(dst *image.RGBA, l line, x, y float64, c color.Color) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := dst.Bounds()
	ink := vector.NewRasterizer(b.Dx(), b.Dy())
	for _, run := range l.runs {
		scale := float64(run.Size) / 64 / float64(run.Face.Upem())
		for _, g := range run.Glyphs {
			gx, gy := x+float64(g.XOffset)/64, y-float64(g.YOffset)/64
			switch data := run.Face.GlyphData(g.GlyphID).(type) {
			case font.GlyphOutline:
				trace(ink, data, gx, gy, scale)
			case font.GlyphBitmap:
				drawBitmap(dst, data, g, gx, gy)
			case font.GlyphSVG:
				trace(ink, data.Outline, gx, gy, scale)
			}
			x += float64(g.Advance) / 64
		}
	}
	ink.Draw(dst, b, image.NewUniform(c), image.Point{})
}

// trace adds a glyph's outline to what is to be inked.
func trace(ink *vector.Rasterizer, o font.GlyphOutline, x, y, scale float64) {
	at := func(p opentype.SegmentPoint) (float32, float32) {
		return float32(x + float64(p.X)*scale), float32(y - float64(p.Y)*scale)
	}
	open := false
	for _, s := range o.Segments {
		ax, ay := at(s.Args[0])
		bx, by := at(s.Args[1])
		cx, cy := at(s.Args[2])
		switch s.Op {
		case opentype.SegmentOpMoveTo:
			if open {
				ink.ClosePath()
			}
			ink.MoveTo(ax, ay)
			open = true
		case opentype.SegmentOpLineTo:
			ink.LineTo(ax, ay)
		case opentype.SegmentOpQuadTo:
			ink.QuadTo(ax, ay, bx, by)
		case opentype.SegmentOpCubeTo:
			ink.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	if open {
		ink.ClosePath()
	}
}

// drawBitmap draws a coloured emoji.
func drawBitmap(dst *image.RGBA, data font.GlyphBitmap, g shaping.Glyph, x, y float64) {
	if data.Format != font.PNG {
		return
	}
	img, err := png.Decode(bytes.NewReader(data.Data))
	if err != nil {
		return
	}
	left, top := x+float64(g.XBearing)/64, y-float64(g.YBearing)/64
	to := image.Rect(int(math.Round(left)), int(math.Round(top)),
		int(math.Round(left+float64(g.Width)/64)), int(math.Round(top-float64(g.Height)/64)))
	draw.BiLinear.Scale(dst, to, img, img.Bounds(), draw.Over, nil)
}

const (
	maxNameRunes = 80
	maxMarks     = 4 // combining marks on one letter
)

// tidy makes a name fit to be drawn: one line, no control, direction or unassigned characters, no towers
// of accents.
func tidy(name string) string {
	var out []rune
	marks := 0
	for _, c := range strings.Join(strings.Fields(name), " ") {
		switch {
		case unicode.Is(unicode.Mn, c) || unicode.Is(unicode.Me, c):
			if marks++; marks > maxMarks {
				continue
			}
		case c == 0x200d || c == 0x200c: // joiners are part of the spelling
		case !unicode.IsPrint(c) || c == unicode.ReplacementChar:
			continue
		default:
			marks = 0
		}
		if out = append(out, c); len(out) == maxNameRunes {
			break
		}
	}
	return strings.TrimSpace(string(out))
}

// initials are what stands for a name in an avatar: the first letters of its first and last
// words, or the first character where words are not written apart.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && !isEmoji(c)
	})
	if len(words) == 0 {
		return "?"
	}
	first := cluster(words[0])
	if len(words) == 1 || !strings.ContainsFunc(first, unicode.IsUpper) {
		return strings.ToUpper(first)
	}
	return first + strings.ToUpper(cluster(words[len(words)-1]))
}

// cluster is the first character of a word with the marks and conjuncts that belong to it.
func cluster(word string) string {
	end, joins := 0, true
	for i, c := range word {
		if !joins && !unicode.IsMark(c) && c != 0x200d {
			break
		}
		joins = c == 0x200d || slices.Contains(viramas, c)
		end = i + len(string(c))
	}
	return word[:end]
}

// viramas join the consonant before to the one after (Indic_Syllabic_Category=Virama and
// Invisible_Stacker in the scripts of scriptFonts).
var viramas = []rune{0x094d, 0x09cd, 0x0a4d, 0x0acd, 0x0b4d, 0x0c4d, 0x0ccd, 0x0d4d, 0x0dca, 0x1039, 0x17d2}
