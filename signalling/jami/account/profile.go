package account

import (
	"context"
	"fmt"

	"rendezvous/dht/identity"
	"rendezvous/signalling/jami/vcard"
)

// SetProfile changes what others see of the account from now on: what was sent
// before stays with those who got it.
func (a *Account) SetProfile(displayName string, avatar []byte) {
	a.mu.Lock()
	a.name, a.avatar = displayName, avatar
	a.mu.Unlock()
}

// DisplayName is what others see.
func (a *Account) DisplayName() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.name
}

// VCard is the account's profile as Jami clients read it: vCard 2.1 with the
// display name and the picture.
func (a *Account) VCard() []byte {
	a.mu.Lock()
	name, avatar := a.name, a.avatar
	a.mu.Unlock()
	return vcard.Card{Name: name, Picture: avatar}.Marshal()
}

// SendProfile sends the account's vCard to a device of a member of the conversation:
// daemons take profiles only within one. It fails as OpenChannel does, and if the device
// stops reading before ctx ends.
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
