package web

import (
	"crypto/hmac"
	"crypto/sha1" // the TURN REST API's own choice
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// turnLife is how long handed-out TURN credentials are good for.
const turnLife = 12 * time.Hour

// clientICE is an RTCIceServer as a page takes it.
type clientICE struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// iceServers are the servers to hand out, with fresh credentials.
func (d *Door) iceServers(now time.Time) []clientICE {
	list := []clientICE{}
	for _, s := range d.cfg.ICEServers {
		c := clientICE{URLs: s.URLs, Username: s.Username, Credential: s.Credential}
		if s.Secret != "" {
			c.Username = strconv.FormatInt(now.Add(turnLife).Unix(), 10) + ":rendezvous"
			h := hmac.New(sha1.New, []byte(s.Secret))
			h.Write([]byte(c.Username))
			c.Credential = base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
		list = append(list, c)
	}
	return list
}

// linkICE puts the servers into Link headers (RFC 9725 section 4.6).
func (d *Door) linkICE(h http.Header) {
	for _, s := range d.iceServers(time.Now()) {
		for _, u := range s.URLs {
			v := fmt.Sprintf(`<%s>; rel="ice-server"`, u)
			if strings.HasPrefix(u, "turn") {
				v += fmt.Sprintf(`; username=%q; credential=%q; credential-type="password"`, s.Username, s.Credential)
			}
			h.Add("Link", v)
		}
	}
}
