// Package page is the meeting page: plain files that a browser runs as they are,
// embedded in the program. Nothing is built and nothing comes from elsewhere.
//
// Its modules are JavaScript with types in comments, which TypeScript checks with the linters
// (scripts/lint.sh); protocol.d.ts and elements.d.ts hold the types that several of them share. What page
// and host say to each other is in docs/page-protocol.md.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var files embed.FS

// asset is a file with what its headers need.
type asset struct {
	body []byte
	mime string
	etag string
}

// Handler serves the page: index.html at / and at every room's link, the rest under /assets/.
func Handler() http.Handler {
	assets := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, found := strings.CutPrefix(r.URL.Path, "/assets/")
		switch {
		case found:
		case r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/r/"):
			name = "index.html"
		case r.URL.Path == "/favicon.ico":
			name = "icon.svg"
		}
		a, ok := assets[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.mime)
		h.Set("ETag", a.etag)
		// Always asked for again, so that page and host are of one version; the ETag
		// makes that cheap.
		h.Set("Cache-Control", "no-cache")
		if r.Header.Get("If-None-Match") == a.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(a.body)
	})
}

// load reads the embedded files; they are there or the program would not have compiled.
func load() map[string]asset {
	assets := make(map[string]asset)
	_ = fs.WalkDir(files, "static", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := files.ReadFile(p)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		assets[strings.TrimPrefix(p, "static/")] = asset{body, mediaType(p), `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	return assets
}

// mediaType does not leave the types of scripts to what the machine has registered.
func mediaType(p string) string {
	switch path.Ext(p) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	}
	return mime.TypeByExtension(path.Ext(p))
}
