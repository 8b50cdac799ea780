package config

import (
	"time"

	"rendezvous/conference/settings"
)

// Default is what is used where the file, the environment and the flags say nothing.
func Default() Config {
	return Config{
		Data:  "data",
		Drain: 20 * time.Second,
		Log:   Log{Level: "info", Format: "text"},
		Admin: Admin{Listen: "127.0.0.1:9090"},
		Web: Web{
			Enabled: true,
			Listen:  ":8080",

			RecordingsRole: "auto",
		},
		SIP: SIP{
			Enabled:        true,
			UDP:            ":5060",
			TCP:            ":5060",
			TLS:            ":5061",
			RTP:            Ports{Min: 20000, Max: 20999},
			SRTP:           "optional",
			MediaTimeout:   30 * time.Second,
			HoldTimeout:    10 * time.Minute,
			SessionExpires: 30 * time.Minute,
			Audio:          []string{"opus", "G722", "PCMA", "PCMU"},
			Video:          []string{"H264", "VP8"},
			MaxCalls:       200,
			DialTo:         []string{"*"},
			DialPerHour:    30,
			Tones:          true,
		},
		Jami: Jami{
			Enabled:   true,
			Bootstrap: []string{"bootstrap.jami.net:4222"},
			STUN:      []string{"turn.jami.net:3478"},
		},
		Media: Media{
			Canvas: "1280x720",
			Rungs:  []string{"1280x720@30:900k-1800k-2500k", "640x360@30:300k-700k-1200k", "320x180@30:110k-220k-350k", "320x180@15:50k-90k-130k"},
			Voice:  "en",
		},
		Recordings: Recordings{
			Dir:      "recordings",
			Fragment: time.Second,
			MinFree:  1e9,
		},
	}
}

func defaultMember(section string) any {
	switch section {
	case "rooms":
		return settings.Default()
	case "sip.trunks":
		return Trunk{Register: true, Expiry: 10 * time.Minute}
	case "sip.users":
		return User{}
	case "api.tokens":
		return Token{}
	case "webhooks":
		return Webhook{}
	case "people":
		return Person{}
	}
	panic("config: no defaults for the members of " + section)
}
