package conversation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"rendezvous/signalling/jami/connection"
	"rendezvous/signalling/jami/connection/mux"
	"rendezvous/signalling/jami/sipchannel"
	"rendezvous/swarm"
)

// ours are the types of SIP messages that belong to conversations.
var ours = map[string]bool{
	"application/im-gitmessage-id": true, "application/invite+json": true, "application/invite": true,
	"application/im-iscomposing+xml": true, "message/imdn+xml": true,
}

// takeSIP handles a request that belongs to conversations, and reports whether it does. Devices
// send such on any SIP channel that they have.
func (s *Service) takeSIP(ch *sipchannel.Channel, r *sip.Request) bool {
	if r.Method != sip.MESSAGE || r.ContentType() == nil {
		return false
	}
	mime, _, _ := strings.Cut(r.ContentType().Value(), ";")
	mime = strings.ToLower(strings.TrimSpace(mime))
	if _, inDialog := r.To().Params.Get("tag"); inDialog || !ours[mime] {
		return false
	}
	// 200 whatever becomes of it: after anything else a daemon closes the channel.
	_ = ch.Respond(r, 200, "OK", sipchannel.Token(), nil)
	s.swarm.Message(peerOf(ch.Peer()), mime, r.Body())
	return true
}

// sendSIP gives a device a message on a SIP channel, opening one if need be. One that turns
// out to be dead is replaced.
func (s *Service) sendSIP(ctx context.Context, to swarm.Peer, mime string, body []byte) error {
	for again := false; ; again = true {
		ch, err := s.cfg.SIP.To(ctx, to.Device, mime)
		if err != nil {
			return fmt.Errorf("conversation: %w", err)
		}
		answering, cancel := context.WithTimeout(ctx, answerTime)
		err = ch.Message(answering, mime, body)
		cancel()
		if err == nil {
			return nil
		}
		if again || ctx.Err() != nil || errors.Is(err, sipchannel.ErrStatus) {
			return fmt.Errorf("conversation: %w", err)
		}
		ch.Close()
	}
}

// sipEnded takes notice of a device that fell silent.
func (s *Service) sipEnded(p connection.Peer, why error) {
	if errors.Is(why, mux.ErrBeacon) {
		s.swarm.Lost(peerOf(p))
	}
}
