package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// policy is what the page may do: its own files, its own server, pictures of its own
// making; nothing inline, nothing from elsewhere, and in the frames of those alone who may embed it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; frame-ancestors "

// headers puts the security headers on every answer.
func (d *Door) headers(next http.Handler) http.Handler {
	hsts := strings.HasPrefix(d.base, "https:") && d.cfg.TLS != nil
	ancestors := "'none'"
	if len(d.cfg.Embed) > 0 {
		ancestors = strings.Join(d.cfg.Embed, " ")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy+ancestors)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if len(d.cfg.Embed) == 0 { // it knows no list
			h.Set("X-Frame-Options", "DENY")
		}
		h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), fullscreen=(self), "+
			"screen-wake-lock=(self), geolocation=(), payment=(), usb=()")
		if hsts {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// origins are the origins ("https://host:port", lower case) whose pages may use us.
type origins map[string]bool

func newOrigins(base string, more []string) origins {
	o := origins{strings.ToLower(base): true}
	for _, s := range more {
		o[strings.ToLower(s)] = true
	}
	return o
}

// allows reports whether a request's origin, if it tells one, is our own or allowed.
func (o origins) allows(r *http.Request) bool {
	origin := strings.ToLower(r.Header.Get("Origin"))
	if origin == "" || o[origin] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && u.Host == strings.ToLower(r.Host)
}

// cors answers preflight requests and refuses origins that are not allowed.
func (d *Door) cors(next http.Handler, methods string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if !d.origins.allows(r) {
			http.Error(w, "pages of this origin may not use this host", http.StatusForbidden)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch, Retry-After")
		}
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", methods+", OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, Last-Event-ID")
			h.Set("Access-Control-Max-Age", "3600")
			h.Set("Allow", methods+", OPTIONS")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone needs no answer
}
