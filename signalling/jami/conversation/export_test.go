package conversation

import (
	"context"

	"rendezvous/dht/identity"
	"rendezvous/swarm"
)

// SendMessage sends a message to a device, as the swarm has it done.
func (s *Service) SendMessage(ctx context.Context, to swarm.Peer, mime string, body []byte) error {
	return s.sendMessage(ctx, to, mime, body)
}

// MessageChannel stands for the newest channel for messages with a device, nil for none.
func (s *Service) MessageChannel(with identity.KeyIDs) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.msg[with.Long]; l != nil {
		return l
	}
	return nil
}
