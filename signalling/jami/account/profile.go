package account

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"rendezvous/dht/identity"
)

// VCard is the account's profile as Jami clients read it: vCard 2.1 with the
// display name and the picture.
func (a *Account) VCard() []byte {
	var b bytes.Buffer
	b.WriteString("BEGIN:VCARD\nVERSION:2.1\n")
	fmt.Fprintf(&b, "FN:%s\n", strings.NewReplacer("\r", " ", "\n", " ").Replace(a.cfg.DisplayName))
	if kind := imageKind(a.cfg.Avatar); kind != "" {
		fmt.Fprintf(&b, "PHOTO;ENCODING=BASE64;TYPE=%s:%s\n", kind, base64.StdEncoding.EncodeToString(a.cfg.Avatar))
	}
	b.WriteString("END:VCARD")
	return b.Bytes()
}

// imageKind names the two picture formats that clients show.
func imageKind(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "PNG"
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "JPEG"
	}
	return ""
}

// SendProfile sends the account's vCard to a device of a member of the
// conversation: daemons take profiles only within one.
func (a *Account) SendProfile(ctx context.Context, to identity.KeyIDs, conversation string) error {
	name := fmt.Sprintf("data-transfer://%s/%s/profile.vcf", conversation, a.Device().Long)
	ch, err := a.OpenChannel(ctx, to, name, "")
	if err != nil {
		return fmt.Errorf("account: sending the profile: %w", err)
	}
	defer ch.Close()
	if d, ok := ctx.Deadline(); ok {
		ch.SetWriteDeadline(d)
	}
	if _, err := ch.Write(a.VCard()); err != nil {
		return fmt.Errorf("account: sending the profile: %w", err)
	}
	return nil
}
