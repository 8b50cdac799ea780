package repo

import (
	"encoding/base64"
	"strings"
)

// MaxProfile bounds profile.vcf, picture and all.
const MaxProfile = 4 << 20

// Profile is what a conversation shows of itself.
type Profile struct {
	Title, Description string
	// Avatar is a PNG or JPEG picture, or empty.
	Avatar []byte
	// HostAccount and HostDevice name who hosts the conversation's calls: an
	// account id and a device id, or empty.
	HostAccount, HostDevice string
}

// Profiles are vCard 2.1 with these keys.
const (
	keyTitle       = "FN"
	keyDescription = "DESCRIPTION"
	keyAvatar      = "PHOTO;ENCODING=BASE64"
	keyHostAccount = "RDV_ACCOUNT"
	keyHostDevice  = "RDV_DEVICE"
)

func (p Profile) vcard() []byte {
	var b strings.Builder
	b.WriteString("BEGIN:VCARD\nVERSION:2.1\n")
	line := func(key, val string) {
		if val != "" {
			b.WriteString(key + ":" + strings.NewReplacer("\r", " ", "\n", " ").Replace(val) + "\n")
		}
	}
	line(keyTitle, p.Title)
	line(keyDescription, p.Description)
	line(keyAvatar, base64.StdEncoding.EncodeToString(p.Avatar))
	line(keyHostAccount, p.HostAccount)
	line(keyHostDevice, p.HostDevice)
	b.WriteString("END:VCARD")
	return []byte(b.String())
}

// parseProfile reads what it understands.
func parseProfile(text []byte) Profile {
	var p Profile
	for line := range strings.SplitSeq(string(text), "\n") {
		key, val, _ := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		switch {
		case key == keyTitle:
			p.Title = val
		case key == keyDescription:
			p.Description = val
		case strings.HasPrefix(key, "PHOTO"):
			if b, err := base64.StdEncoding.DecodeString(val); err == nil {
				p.Avatar = b
			}
		case key == keyHostAccount:
			p.HostAccount = val
		case key == keyHostDevice:
			p.HostDevice = val
		}
	}
	return p
}
