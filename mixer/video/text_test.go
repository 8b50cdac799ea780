package video

import (
	"strings"
	"testing"
	"time"
)

func TestTidy(t *testing.T) {
	for in, want := range map[string]string{
		"  Ada \t\n Lovelace ":             "Ada Lovelace",
		"a\u202eb\u2066c\u200f":            "abc", // no direction overrides
		"\x00\x1b[31mred":                  "[31mred",
		"e" + strings.Repeat("\u0301", 50): "e" + strings.Repeat("\u0301", maxMarks),
		"👩\u200d🚀":                         "👩\u200d🚀",
		strings.Repeat("x", 500):           strings.Repeat("x", maxNameRunes),
		"\xff\xfe":                         "",
		"":                                 "",
	} {
		if got := tidy(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"Ada Lovelace":         "AL",
		"ada":                  "A",
		"Nguyễn Thị Minh Khai": "NK",
		"李清照":                  "李",
		"श्रीनिवास रामानुजन्": "श्री",
		"عبد الرحمن":        "ع",
		"Дмитрий Менделеев": "ДМ",
		"(guest)":           "G",
		"":                  "?",
		"...":               "?",
		"👩\u200d🚀 Sally":    "👩\u200d🚀",
	} {
		if got := initials(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

// TestScriptsHaveFonts draws a word in each script and checks that no character falls back to
// the empty box. It needs Debian's fonts-noto-core and fonts-noto-cjk.
func TestScriptsHaveFonts(t *testing.T) {
	f := systemFonts()
	if len(f.files) == 0 {
		t.Fatal("no fonts found: install fonts-noto-core, fonts-noto-cjk and fonts-dejavu-core")
	}
	for script, word := range map[string]string{
		"Latin": "Łukasz", "Greek": "Ελένη", "Cyrillic": "Ђорђе", "Arabic": "الخوارزمي", "Hebrew": "שרה", "Devanagari": "श्रीनिवास",
		"Bengali": "আনন্দ", "Tamil": "தமிழ்", "Telugu": "రాము", "Kannada": "ಕನ್ನಡ", "Malayalam": "മലയാളം", "Gujarati": "ગુજરાતી",
		"Gurmukhi": "ਪੰਜਾਬੀ", "Sinhala": "සිංහල", "Thai": "สมชาย", "Lao": "ລາວ", "Khmer": "ខ្មែរ", "Myanmar": "မောင်", "Tibetan": "བོད",
		"Georgian": "ნინო", "Armenian": "Հայկ", "Ethiopic": "በቀለ", "Chinese": "李清照", "Japanese": "やまだ花子", "Korean": "김철수",
		"Cherokee": "ᏣᎳᎩ", "Tifinagh": "ⵜⵉⴼ", "Emoji": "😀",
	} {
		l := f.setLine(word, 20, 1000)
		if l.width < 5 {
			t.Errorf("%s: %q is %.1f pixels wide", script, word, l.width)
		}
		for _, run := range l.runs {
			for _, g := range run.Glyphs {
				if g.GlyphID == 0 {
					t.Errorf("%s: a character of %q has no glyph", script, word)
				}
			}
		}
	}
}

// TestOwnFont: without any installed font names in Latin, Greek and Cyrillic are still drawn,
// and others do no harm.
func TestOwnFont(t *testing.T) {
	f := newFonts(t.TempDir())
	for _, name := range []string{"Ada Lovelace", "Ελένη", "Дмитрий"} {
		for _, run := range f.setLine(name, 20, 1000).runs {
			for _, g := range run.Glyphs {
				if g.GlyphID == 0 {
					t.Errorf("%q lacks a glyph", name)
				}
			}
		}
	}
	for _, name := range names {
		f.draw(drawing{kind: nameLabel, text: name, size: 20, width: 300})
	}
}

func TestLongNamesAreShortened(t *testing.T) {
	f := systemFonts()
	for _, name := range []string{strings.Repeat("Maximilian ", 7), strings.Repeat("ж", 80), strings.Repeat("李", 80), strings.Repeat("ش", 80)} {
		for _, width := range []int{30, 100, 200} {
			l := f.setLine(name, 20, width)
			if l.width > float64(width) || l.width == 0 && width > 60 {
				t.Errorf("%q is %.1f pixels wide of %d", name[:6], l.width, width)
			}
			img := f.draw(drawing{kind: nameLabel, text: name, size: 20, width: width, muted: true})
			if img.Rect.Dx() > width+1 {
				t.Errorf("a label %d wide of %d", img.Rect.Dx(), width)
			}
		}
	}
}

// TestRightToLeft: the first letter of an Arabic name stands at the right.
func TestRightToLeft(t *testing.T) {
	l := systemFonts().setLine("Ada عبد", 20, 1000)
	if len(l.runs) < 2 || l.runs[0].Runes.Offset != 0 {
		t.Fatalf("%d runs", len(l.runs))
	}
	l = systemFonts().setLine("عبد Ada", 20, 1000)
	last := l.runs[len(l.runs)-1]
	if last.Runes.Offset != 0 || last.Glyphs[len(last.Glyphs)-1].TextIndex() != 0 {
		t.Error("a right-to-left line does not begin at the right")
	}
}

func FuzzLabel(f *testing.F) {
	for _, n := range names {
		f.Add(n, 20, 200)
	}
	fonts := systemFonts()
	f.Fuzz(func(t *testing.T, name string, size, width int) {
		if size < 8 || size > 40 || width < 2*size || width > 1280 {
			return
		}
		name = tidy(name)
		img := fonts.draw(drawing{kind: nameLabel, text: name, size: size, width: width, muted: len(name)%2 == 0})
		if img.Rect.Dx() > width+1 {
			t.Errorf("%q: a label %d wide of %d", name, img.Rect.Dx(), width)
		}
		fonts.draw(drawing{kind: avatarDisc, text: initials(name), size: size * 2})
	})
}

// TestRareCharacters: what only some odd file has is found, in a time that a stranger's
// name may cost.
func TestRareCharacters(t *testing.T) {
	f := newFonts(fontDirs...)
	began := time.Now()
	f.setLine("ᏣᎳᎩ", 20, 1000)
	t.Logf("the first took %v", time.Since(began))
	began = time.Now()
	for c := rune(0x13000); c < 0x13400; c++ { // hieroglyphs
		if got := f.setLine(string(c), 20, 1000); len(got.runs) == 0 || got.runs[0].Glyphs[0].GlyphID == 0 {
			t.Fatalf("%U has no glyph", c)
		}
	}
	t.Logf("1024 more took %v", time.Since(began))
}

// TestEmoji: a picture character is drawn, in colour where Noto Color Emoji is installed.
func TestEmoji(t *testing.T) {
	f := systemFonts()
	img := f.draw(drawing{kind: nameLabel, text: "😀👩\u200d🚀", size: 30, width: 200})
	bright, coloured := 0, 0
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			c := img.RGBAAt(x, y)
			if c.R > 200 {
				bright++
				if c.B < 100 {
					coloured++
				}
			}
		}
	}
	if bright < 100 {
		t.Errorf("%d bright pixels", bright)
	}
	if _, installed := f.files[emojiFont]; installed && coloured < 100 {
		t.Errorf("%d coloured pixels", coloured)
	}
}
