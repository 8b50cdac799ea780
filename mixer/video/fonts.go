package video

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/font/opentype/tables"
	"github.com/go-text/typesetting/language"
	"golang.org/x/image/font/gofont/goregular"
)

// fontDirs are where Unix systems keep fonts for everybody.
var fontDirs = []string{"/usr/share/fonts", "/usr/local/share/fonts"}

// fonts finds a font for every character: the Noto family where it is installed (Debian's
// fonts-noto-core and fonts-noto-cjk), DejaVu, and one font of the program's own, so that there
// is always something to write with. Files are read when they are first needed.
type fonts struct {
	mu      sync.Mutex        // guards all below
	files   map[string]string // path by file name
	names   []string          // of files, in the order in which they are asked for rare characters
	loaded  map[string]*font.Face
	general []*font.Face // for Latin, Greek, Cyrillic and common signs
	rare    map[rune]*font.Face
	index   []coverage // of all files, nil until a rare character asks for it
}

// systemFonts are those of this machine, looked for once in the life of the program: they are
// large, do not change, and are shared by all canvases.
var systemFonts = sync.OnceValue(func() *fonts { return newFonts(fontDirs...) })

func newFonts(dirs ...string) *fonts {
	f := &fonts{files: map[string]string{}, loaded: map[string]*font.Face{}, rare: map[rune]*font.Face{}}
	for _, dir := range dirs {
		// A folder that is missing or unreadable has no fonts.
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if name := d.Name(); !d.IsDir() && wanted(name) && f.files[name] == "" {
				f.files[name] = path
				f.names = append(f.names, name)
			}
			return nil
		})
	}
	slices.SortFunc(f.names, func(a, b string) int {
		// Sans before serif and the special cuts.
		return strings.Compare(strings.Replace(a, "NotoSans", " ", 1), strings.Replace(b, "NotoSans", " ", 1))
	})
	for _, name := range []string{"NotoSans-Regular.ttf", "DejaVuSans.ttf"} {
		if face := f.load(name, 0); face != nil {
			f.general = append(f.general, face)
		}
	}
	own, err := font.ParseTTF(bytes.NewReader(goregular.TTF))
	if err != nil {
		panic("video: the built-in font cannot be read: " + err.Error())
	}
	f.general = append(f.general, own)
	return f
}

// wanted picks the upright, regular cuts of the families.
func wanted(name string) bool {
	return name == "DejaVuSans.ttf" || name == emojiFont || strings.HasPrefix(name, "Noto") &&
		(strings.HasSuffix(name, "-Regular.ttf") || strings.HasSuffix(name, "-Regular.otf") || name == cjkFont)
}

const (
	cjkFont   = "NotoSansCJK-Regular.ttc"
	emojiFont = "NotoColorEmoji.ttf"
)

// The faces inside of cjkFont.
const (
	cjkJapanese = 0
	cjkKorean   = 1
	cjkChinese  = 2
)

// scriptFonts are the files for scripts with many readers; others are found by search.
var scriptFonts = map[language.Script]string{
	language.Arabic:     "NotoSansArabic-Regular.ttf",
	language.Armenian:   "NotoSansArmenian-Regular.ttf",
	language.Bengali:    "NotoSansBengali-Regular.ttf",
	language.Devanagari: "NotoSansDevanagari-Regular.ttf",
	language.Ethiopic:   "NotoSansEthiopic-Regular.ttf",
	language.Georgian:   "NotoSansGeorgian-Regular.ttf",
	language.Gujarati:   "NotoSansGujarati-Regular.ttf",
	language.Gurmukhi:   "NotoSansGurmukhi-Regular.ttf",
	language.Hebrew:     "NotoSansHebrew-Regular.ttf",
	language.Kannada:    "NotoSansKannada-Regular.ttf",
	language.Khmer:      "NotoSansKhmer-Regular.ttf",
	language.Lao:        "NotoSansLao-Regular.ttf",
	language.Malayalam:  "NotoSansMalayalam-Regular.ttf",
	language.Myanmar:    "NotoSansMyanmar-Regular.ttf",
	language.Oriya:      "NotoSansOriya-Regular.ttf",
	language.Sinhala:    "NotoSansSinhala-Regular.ttf",
	language.Tamil:      "NotoSansTamil-Regular.ttf",
	language.Telugu:     "NotoSansTelugu-Regular.ttf",
	language.Thai:       "NotoSansThai-Regular.ttf",
	language.Tibetan:    "NotoSerifTibetan-Regular.ttf",
}

// load reads a file's face, nil if there is no such file or it is no font.
func (f *fonts) load(name string, index int) *font.Face {
	key := name
	if index > 0 {
		key += string(rune('0' + index))
	}
	if face, known := f.loaded[key]; known {
		return face
	}
	face := readFace(f.files[name], index)
	f.loaded[key] = face
	return face
}

func readFace(path string, index int) *font.Face {
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	loaders, err := opentype.NewLoaders(file)
	if err != nil || index >= len(loaders) {
		return nil
	}
	ft, err := font.NewFont(loaders[index])
	if err != nil {
		return nil
	}
	return font.NewFace(ft)
}

// resolver chooses faces for one text; f.mu is held while it is used.
type resolver struct {
	fonts  *fonts
	script language.Script
	cjk    int // which of cjkFont's faces the text's Han characters are drawn with
}

// newResolver looks at text for what tells Japanese and Korean from Chinese.
func (f *fonts) newResolver(text []rune) *resolver {
	r := &resolver{fonts: f, cjk: cjkChinese}
	for _, c := range text {
		switch language.LookupScript(c) {
		case language.Hiragana, language.Katakana:
			r.cjk = cjkJapanese
		case language.Hangul:
			r.cjk = cjkKorean
		}
	}
	return r
}

// SetScript implements shaping.FontmapScript.
func (r *resolver) SetScript(s language.Script) { r.script = s }

// ResolveFace implements shaping.Fontmap.
func (r *resolver) ResolveFace(c rune) *font.Face {
	f := r.fonts
	if isEmoji(c) {
		if face := f.load(emojiFont, 0); has(face, c) {
			return face
		}
	}
	switch script := language.LookupScript(c); script {
	case language.Han, language.Hiragana, language.Katakana, language.Hangul, language.Bopomofo:
		if face := f.load(cjkFont, r.cjk); has(face, c) {
			return face
		}
	default:
		if script == language.Common || script == language.Inherited {
			script = r.script
		}
		if face := f.load(scriptFonts[script], 0); has(face, c) {
			return face
		}
	}
	for _, face := range f.general {
		if has(face, c) {
			return face
		}
	}
	return f.search(c)
}

// search asks all files. Which characters each has is read once, when it is first needed.
func (f *fonts) search(c rune) *font.Face {
	if face, known := f.rare[c]; known {
		return face
	}
	if f.index == nil {
		for _, name := range f.names {
			f.index = append(f.index, coverage{name, readRanges(f.files[name])})
		}
	}
	found := f.general[0]
	for _, has := range f.index {
		if face := f.faceWith(has, c); face != nil {
			found = face
			break
		}
	}
	if len(f.rare) > 4096 {
		clear(f.rare)
	}
	f.rare[c] = found
	return found
}

func (f *fonts) faceWith(cov coverage, c rune) *font.Face {
	i, in := slices.BinarySearchFunc(cov.ranges, c, func(r [2]rune, c rune) int {
		switch {
		case r[1] < c:
			return -1
		case r[0] > c:
			return 1
		}
		return 0
	})
	if !in || i >= len(cov.ranges) {
		return nil
	}
	index := 0
	if cov.name == cjkFont {
		index = cjkChinese
	}
	if face := f.load(cov.name, index); has(face, c) {
		return face
	}
	return nil
}

// coverage is which characters a file has.
type coverage struct {
	name   string
	ranges [][2]rune // first and last, in order
}

// readRanges reads no more of a font than its table of characters.
func readRanges(path string) [][2]rune {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	loaders, err := opentype.NewLoaders(file)
	if err != nil || len(loaders) == 0 {
		return nil
	}
	raw, err := loaders[0].RawTable(opentype.MustNewTag("cmap"))
	if err != nil {
		return nil
	}
	table, _, err := tables.ParseCmap(raw)
	if err != nil {
		return nil
	}
	cmap, _, err := font.ProcessCmap(table, tables.FPNone)
	if err != nil {
		return nil
	}
	if r, ok := cmap.(font.CmapRuneRanger); ok {
		return r.RuneRanges(nil)
	}
	return nil
}

func has(face *font.Face, c rune) bool {
	if face == nil {
		return false
	}
	_, ok := face.NominalGlyph(c)
	return ok
}

// isEmoji is true of characters that are drawn as pictures where possible.
func isEmoji(c rune) bool {
	return c >= 0x1f000 && c <= 0x1faff || c >= 0x2600 && c <= 0x27bf || c == 0x200d || c == 0xfe0f || c == 0x2b50
}
