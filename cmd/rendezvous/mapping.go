package main

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/internal/config"
	"rendezvous/mixer"
	"rendezvous/mixer/ladder"
	"rendezvous/moderation"
	"rendezvous/recordings"
	"rendezvous/recordings/sealed"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/connection/icetcp"
	"rendezvous/signalling/jami/roomlog"
	"rendezvous/signalling/sdp"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/control"
	"rendezvous/swarm/commit"
)

// This file says what the settings mean to the parts. The values have been checked.

// declared are the rooms of the configuration.
func declared(cfg *config.Config) []settings.Room { return slices.Collect(maps.Values(cfg.Rooms)) }

// aliases: a person's further identities stand for the first.
func aliases(cfg *config.Config) map[string]string {
	out := map[string]string{}
	for _, p := range cfg.People {
		for i, identity := range p.Identities {
			if i > 0 {
				out[identity] = p.Identities[0]
			}
		}
	}
	return out
}

func mixerConfig(cfg *config.Config) (mixer.Config, error) {
	width, height, err := config.Dimensions(cfg.Media.Canvas)
	if err != nil {
		return mixer.Config{}, fmt.Errorf("media.canvas: %w", err)
	}
	m := mixer.Config{Width: width, Height: height}
	for _, text := range cfg.Media.Rungs {
		r, err := config.ParseRung(text)
		if err != nil {
			return mixer.Config{}, fmt.Errorf("media.rungs: %w", err)
		}
		m.Rungs = append(m.Rungs, ladder.Rung{Width: r.Width, Height: r.Height, FPS: r.FPS, Min: r.Min, Bitrate: r.Bitrate, Max: r.Max})
	}
	return m, nil
}

func retention(cfg *config.Config) recordings.Retention {
	r := cfg.Recordings
	return recordings.Retention{MinFree: int64(r.MinFree), MaxAge: r.MaxAge, MaxSize: int64(r.MaxSize)}
}

// recordingKeys are the keys of recordings.key_file; none if recordings are not to be encrypted.
func recordingKeys(cfg *config.Config) (sealed.Keyring, error) {
	path := cfg.Recordings.KeyFile
	if path == "" {
		return nil, nil
	}
	inside, err := within(cfg.Data, path)
	if err != nil {
		return nil, fmt.Errorf("recordings.key_file: %w", err)
	}
	if inside {
		return nil, fmt.Errorf("recordings.key_file: %s lies in the data folder: whoever takes that would have the key too", path)
	}
	keys, err := sealed.LoadKeys(path)
	if err != nil {
		return nil, fmt.Errorf("recordings.key_file: %w", err)
	}
	return keys, nil
}

// within tells whether a file, which must be there, lies below a folder, which need not.
func within(folder, path string) (bool, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return false, err
	}
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel), nil
}

func webConfig(cfg *config.Config) (web.Config, error) {
	w := &cfg.Web
	c := web.Config{
		Listen: w.Listen, PublicURL: w.PublicURL, Names: w.ACME.Domains, Redirect: w.ACME.HTTP,
		InsecureHTTP: w.PlainHTTP, AllowedOrigins: w.Origins, Embed: w.Embed,
		MediaUDP: w.MediaUDP, MediaTCP: w.MediaTCP, PublicIPs: w.PublicIPs, JoinSecret: []byte(w.JoinSecret),
	}
	if w.RecordingsRole != "auto" {
		role, err := moderation.ParseRole(w.RecordingsRole)
		if err != nil {
			return c, fmt.Errorf("web.recordings_role: %w", err)
		}
		c.RecordingsRole = &role
	}
	var err error
	if c.MediaUDP == "" { // also with media_tcp, beside which the door's own default is none
		_, port, err := net.SplitHostPort(w.Listen)
		if err != nil {
			return c, fmt.Errorf("web.listen: %w", err)
		}
		c.MediaUDP = ":" + port
	}
	if c.TrustedProxies, err = networks("web.trusted_proxies", w.TrustedProxies); err != nil {
		return c, err
	}
	if len(w.ICE.Servers) > 0 {
		c.ICEServers = []web.ICEServer{{
			URLs: w.ICE.Servers, Username: w.ICE.Username, Credential: string(w.ICE.Credential), Secret: string(w.ICE.Secret),
		}}
	}
	c.Tokens, err = tokens(cfg)
	return c, err
}

// tokens open the control API.
func tokens(cfg *config.Config) (out []control.Token, err error) {
	for name, t := range cfg.API.Tokens {
		token := control.Token{Name: name, Secret: string(t.Secret), Rooms: t.Rooms}
		scopes := t.Scopes
		if len(scopes) == 0 {
			scopes = config.Scopes
		}
		for _, text := range scopes {
			scope, err := control.ParseScope(text)
			if err != nil {
				return nil, fmt.Errorf("api.tokens.%s.scopes: %w", name, err)
			}
			token.Scopes = append(token.Scopes, scope)
		}
		out = append(out, token)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

func networks(key string, texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		n, err := config.Network(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out = append(out, n)
	}
	return out, nil
}

var srtpPolicies = map[string]sdp.SRTP{"off": sdp.SRTPOff, "optional": sdp.SRTPOptional, "required": sdp.SRTPRequired}

func sipConfig(cfg *config.Config) (sip.Config, error) {
	s := &cfg.SIP
	c := sip.Default()
	c.UDP, c.TCP, c.TLS = s.UDP, s.TCP, s.TLS
	c.External, c.Domains = s.External, s.Domains
	c.MinPort, c.MaxPort = s.RTP.Min, s.RTP.Max
	c.Audio, c.Video, c.SRTP = s.Audio, s.Video, srtpPolicies[s.SRTP]
	c.MediaTimeout, c.HoldTimeout, c.SessionExpires, c.MaxCalls = s.MediaTimeout, s.HoldTimeout, s.SessionExpires, s.MaxCalls
	c.Agent = "rendezvous/" + currentVersion()
	if !s.Tones {
		c.Chatter = sip.ChatterOff
	}
	var err error
	c.DialRules = sip.DialRules{To: s.DialTo, PerHour: s.DialPerHour}
	if c.Trusted, err = networks("sip.trusted", s.Trusted); err != nil {
		return c, err
	}
	c.Users = map[string]string{}
	for name, u := range s.Users {
		c.Users[name] = string(u.Password)
	}
	for name, t := range s.Trunks {
		c.Upstreams = append(c.Upstreams, sip.Upstream{
			Name: name, Registrar: t.Registrar, User: t.Username, AuthUser: t.AuthUsername, Password: string(t.Password),
			Domain: t.Domain, Register: t.Register, Expires: t.Expiry, Room: t.Room, Number: t.Number, Dial: t.Dial,
		})
	}
	sort.Slice(c.Upstreams, func(i, j int) bool { return c.Upstreams[i].Name < c.Upstreams[j].Name })
	return c, nil
}

func (h *house) jamiConfig(cfg *config.Config) jami.Config {
	j := &cfg.Jami
	c := jami.Config{
		Bootstrap: j.Bootstrap, DHTPort: j.DHTPort, TCPPort: j.TCPPort, STUN: j.STUN, PublicIPs: j.PublicIPs, UPnP: j.UPnP, H265: j.H265,
	}
	for _, s := range j.STUN {
		c.ICE.Servers = append(c.ICE.Servers, "stun:"+s)
	}
	for _, t := range j.TURN {
		c.ICE.Servers = append(c.ICE.Servers, "turn:"+t)
		login, server, ok := strings.Cut(t, "@")
		if !ok {
			login, server = "", t
		}
		user, password, _ := strings.Cut(login, ":")
		c.TURN = append(c.TURN, icetcp.TURN{Server: server, Username: user, Password: password})
	}
	c.ICE.PortMin, c.ICE.PortMax, c.ICE.PublicIPs = uint16(j.RTP.Min), uint16(j.RTP.Max), j.PublicIPs
	c.Conversation = h.conversation
	c.Picture = func(room string) []byte {
		file := h.room(room).Picture
		if file == "" {
			return nil
		}
		b, err := config.Picture(file)
		if err != nil { // it was there when the configuration was checked
			h.log.Warn("the room has no picture", "room", room, "error", err)
		}
		return b
	}
	c.Policy = func(room string) account.Policy { return jamiPolicy(h.room(room).Jami) }
	return c
}

// room is what is set about a room; the defaults, if there is none.
func (h *house) room(id string) settings.Room {
	r, err := h.host.Room(id)
	if err != nil {
		return settings.Default()
	}
	return r.Settings()
}

var conversationModes = map[settings.Mode]commit.Mode{
	settings.ModeAdminInvitesOnly: commit.AdminInvitesOnly, settings.ModeInvitesOnly: commit.InvitesOnly, settings.ModePublic: commit.Public,
}

// conversation says how a room keeps its conversation.
func (h *house) conversation(room string) (roomlog.Policy, bool) {
	c := h.room(room).Conversation
	return roomlog.Policy{
		Mode: conversationModes[c.Mode], Invite: c.Invite, Members: jamiKeys(c.Members), Join: c.Join, Moderators: c.Moderators,
	}, c.Enabled
}

func jamiPolicy(j settings.Jami) account.Policy {
	return account.Policy{Admission: j.Calls, Allowed: jamiKeys(j.Allow), Requests: j.Requests}
}

// jamiKeys reads Jami ids, which have been checked.
func jamiKeys(ids []string) []value.Key {
	var keys []value.Key
	for _, id := range ids {
		if key, err := value.ParseKey(id); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// publicNames are the host names that the operator has given the host.
func publicNames(cfg *config.Config) []string {
	names := slices.Clone(cfg.Web.ACME.Domains)
	if u, err := url.Parse(cfg.Web.PublicURL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	return names
}
