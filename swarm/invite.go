package swarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"rendezvous/dht/value"
	"rendezvous/swarm/repo"
)

// Invitation is an account's wish that we join a conversation.
type Invitation struct {
	Conversation string
	From         Peer
	Title        string
	Description  string
	Received     time.Time
}

// invited keeps an invitation and tells of it.
func (s *Swarm) invited(p Peer, inv invitation) {
	if s.Conversation(inv.ID) != nil {
		s.Fetch(p, inv.ID)
		return
	}
	if s.nudge(p, inv.ID) {
		return // we are in it already
	}
	i := Invitation{inv.ID, p, cut(inv.Metadata["title"], maxSummary), cut(inv.Metadata["description"], maxSummary), s.cfg.Now()}
	s.mu.Lock()
	_, again := s.invitations[inv.ID]
	full := len(s.invitations) >= maxInvitations
	if again || !full {
		s.invitations[inv.ID] = i
	}
	s.mu.Unlock()
	if full && !again {
		s.log.Warn("swarm: too many invitations wait; one dropped", "from", p.Account)
		return
	}
	if !again && s.cfg.OnInvitation != nil {
		s.events.add(func() { s.cfg.OnInvitation(i) })
	}
}

// Invitations lists those that wait.
func (s *Swarm) Invitations() []Invitation {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Invitation, 0, len(s.invitations))
	for _, i := range s.invitations {
		out = append(out, i)
	}
	return out
}

// Decline forgets an invitation; nobody is told.
func (s *Swarm) Decline(conversation string) {
	s.mu.Lock()
	delete(s.invitations, conversation)
	s.mu.Unlock()
}

// ErrNoInvitation says that nobody invited us to the conversation.
var ErrNoInvitation = errors.New("swarm: no such invitation")

// Accept takes an invitation: it clones the conversation from who invited, checks all of
// it, and joins. The error wraps ErrNoInvitation, or says why each device in turn would
// not do: it is away, the fetch exceeds Config.Limits, or the history breaks a rule
// (repo.ErrInvalid). The invitation waits on then.
func (s *Swarm) Accept(ctx context.Context, conversation string) (*Conversation, error) {
	s.mu.Lock()
	i, ok := s.invitations[conversation]
	s.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoInvitation, conversation)
	}
	c, err := s.clone(ctx, i.From, conversation)
	if err == nil {
		return c, nil
	}
	c, err2 := s.AcceptFrom(ctx, conversation, i.From.Account)
	if err2 != nil {
		return nil, errors.Join(err, err2)
	}
	return c, nil
}

// AcceptFrom joins a conversation that any device of an account has: after a contact
// request was confirmed, or where anybody may join. It fails if no device of the account
// is online, with the error of the last one that was tried, and for an id that is none.
// One that is here is returned as it is.
func (s *Swarm) AcceptFrom(ctx context.Context, conversation string, account value.Key) (*Conversation, error) {
	if c := s.Conversation(conversation); c != nil {
		return c, nil
	}
	if !conversationID.MatchString(conversation) {
		return nil, fmt.Errorf("swarm: %.50q is no conversation id", conversation)
	}
	failed := fmt.Errorf("swarm: no device of %s is online", account)
	for p, err := range s.cfg.Network.Devices(ctx, account) {
		if err != nil {
			failed = err
			continue
		}
		c, err := s.clone(ctx, p, conversation)
		if err == nil {
			return c, nil
		}
		failed = err
	}
	return nil, failed
}

// CloneFrom gets a conversation that another device of our account has. It fails if that
// is away, if what it sends exceeds Config.Limits or breaks a rule (repo.ErrInvalid), and
// for an id that is none.
func (s *Swarm) CloneFrom(ctx context.Context, p Peer, conversation string) (*Conversation, error) {
	if !conversationID.MatchString(conversation) {
		return nil, fmt.Errorf("swarm: %.50q is no conversation id", conversation)
	}
	return s.clone(ctx, p, conversation)
}

func (s *Swarm) clone(ctx context.Context, p Peer, conversation string) (*Conversation, error) {
	select {
	case s.fetching <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
	defer func() { <-s.fetching }()
	if c := s.Conversation(conversation); c != nil {
		return c, nil
	}
	if s.nudge(p, conversation) {
		return nil, fmt.Errorf("swarm: cloning %s: %w", conversation, repo.ErrDamaged)
	}
	client, err := s.openGit(p.Device, conversation)
	if err != nil {
		return nil, fmt.Errorf("swarm: cloning %s: %w", conversation, err)
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	head, objects, err := client.Fetch(p.Device.Long.String(), conversation, nil, s.cfg.Limits, s.progress(conversation))
	if err != nil {
		return nil, fmt.Errorf("swarm: cloning: %w", err)
	}
	r, err := repo.Clone(s.path(conversation), s.author(), plumbing.NewHash(conversation), head, objects, s.cfg.Now)
	if err != nil {
		if errors.Is(err, repo.ErrInvalid) {
			s.cfg.Metrics.refuse()
		}
		return nil, err
	}
	c := s.add(r)
	if !r.Role(s.account).Belongs() {
		if _, err := c.one(r.Join); err != nil {
			return c, err
		}
	}
	return c, nil
}

// sendInvitation invites a device's account; members get it too, who lost the
// conversation on that device.
func (s *Swarm) sendInvitation(p Peer, conversation string) {
	c := s.Conversation(conversation)
	if c == nil {
		return
	}
	role := c.repo.Role(p.Account)
	if role != repo.Invited && !role.Belongs() {
		return
	}
	profile := c.repo.Profile()
	inv := invitation{conversation, map[string]string{"mode": strconv.Itoa(int(c.repo.Mode()))}}
	if profile.Title != "" {
		inv.Metadata["title"] = cut(profile.Title, maxSummary)
	}
	if profile.Description != "" {
		inv.Metadata["description"] = cut(profile.Description, maxSummary)
	}
	body, err := json.Marshal(inv)
	if err != nil {
		return
	}
	s.send(p, TypeInvite, body)
}
