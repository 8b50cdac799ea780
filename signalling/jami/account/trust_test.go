package account_test

import (
	"slices"
	"testing"

	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/signalling/jami/account"
	"rendezvous/signalling/jami/account/accounttest"
	"rendezvous/signalling/jami/connection"
)

// Who asks twice, as daemons of 2026 do, is told of once, and again when there is a name; a
// request without a vCard that comes after one with it takes the name from nobody.
func TestRequestThatGetsAName(t *testing.T) {
	a := accounttest.Loopback(t, keys()[:1]...)[0].Open(t, account.Config{Policy: account.Policy{Requests: settings.RequestsModerated}})
	var told []string
	a.OnTrustRequest(func(r account.TrustRequest) { told = append(told, r.Name()) })
	from := connection.Peer{Account: value.RandomKey()}
	first, second := value.RandomKey().String(), value.RandomKey().String()
	card := []byte("BEGIN:VCARD\nVERSION:2.1\nFN:Petra Eins\nEND:VCARD")
	for _, m := range []struct {
		conversation string
		card         []byte
	}{
		{conversation: first},
		{conversation: first, card: card},
		{conversation: first, card: []byte("BEGIN:VCARD\nVERSION:2.1\nFN:Petra Zwei\nEND:VCARD")},
		{conversation: second},
	} {
		a.TakeTrust(from, m.conversation, m.card)
	}
	if want := []string{"", "Petra Eins"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if l := a.TrustRequests(); len(l) != 1 || l[0].Name() != "Petra Zwei" || l[0].Conversation != second {
		t.Errorf("%+v", l)
	}
}
