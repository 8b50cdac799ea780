package hostheader

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCheck(t *testing.T) {
	h := Check(http.NotFoundHandler(), []string{"meet.example.org"}, func(r *http.Request) bool { return r.Header.Get("Via") != "" }, "ask")
	for host, want := range map[string]int{
		"127.0.0.1:8080": 404, "192.0.2.7": 404, "[::1]:80": 404, "[2001:db8::1]": 404, "localhost:8080": 404, "rendezvous": 404, "": 404,
		"box.local": 404, "Meet.Example.org:443": 404, "meet.example.org.": 404, "app.localhost": 404,
		"evil.example": 421, "evil.example:8080": 421, "127.0.0.1.evil.example": 421, "meet.example.org.evil.example": 421, "xlocal.evil": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
		r.Header.Set("Via", "a proxy")
		w = httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 404 {
			t.Errorf("%q by a proxy: %d", host, w.Code)
		}
	}
}
