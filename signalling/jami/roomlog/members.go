package roomlog

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/moderation"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

// Times of joining a conversation as a guest.
const (
	joinTime  = 3 * time.Minute
	joinAgain = 20 * time.Second
	joinTries = 5
)

// inviteAll invites who is to be a member and is not.
func (m *Log) inviteAll() {
	for _, account := range m.cfg.Policy.Members {
		m.invite(account)
	}
	if m.cfg.Policy.Invite != settings.InviteNobody {
		for _, account := range m.cfg.Contacts() {
			m.invite(account)
		}
	}
}

// invite invites an account that has never been in the room's conversation: who has left it or
// was banned stays out.
func (m *Log) invite(account value.Key) {
	c := m.own.Load()
	if account == m.cfg.Account || c.Repository().Role(account) != repo.None {
		return
	}
	if _, banned := m.cfg.Room.RoleOf("jami:" + account.String()); banned {
		return
	}
	if len(c.Repository().Members()) >= maxMembers {
		m.log.Warn("nobody more is invited: the conversation has too many members", "account", account)
		return
	}
	if _, err := c.Invite(account); err != nil {
		m.cfg.Metrics.fail()
		m.log.Warn("cannot invite", "account", account, "error", err)
		return
	}
	m.log.Info("invited to the conversation", "account", account)
}

// exclude bans from the conversation who has been banned from the room for good, and lifts the ban with
// the room's.
func (m *Log) exclude(e *audit.Entry) {
	if e == nil || e.Order.Action != moderation.Ban || e.Result != audit.Done {
		return
	}
	account, ok := accountOf(cmp.Or(e.TargetIdentity, e.Order.Target))
	if !ok || account == m.cfg.Account {
		return
	}
	var err error
	switch role := m.own.Load().Repository().Role(account); {
	case e.Order.On && e.Order.Text == "forever" && (role.Belongs() || role == repo.Invited):
		_, err = m.own.Load().Ban(account)
	case !e.Order.On && role == repo.Banned:
		_, err = m.own.Load().Unban(account)
	default:
		return
	}
	if err != nil {
		m.cfg.Metrics.fail()
		m.log.Warn("the ban is not in the conversation", "account", account, "error", err)
	}
}

// Grant is the role that membership in the room's conversation gives a caller; nil: none.
func (m *Log) Grant(identity string) *moderation.Role {
	c := m.own.Load()
	account, ok := accountOf(identity)
	if !ok || c == nil || m.cfg.Policy.Moderators == settings.ModeratorsNone || m.cfg.Policy.Moderators == "" {
		return nil
	}
	role := c.Repository().Role(account)
	if role != repo.Admin && (role != repo.Plain || m.cfg.Policy.Moderators != settings.ModeratorsMembers) {
		return nil
	}
	granted := moderation.Moderator
	return &granted
}

// invited decides about an invitation to somebody else's conversation.
func (m *Log) invited(i swarm.Invitation) {
	switch m.cfg.Policy.Join {
	case settings.JoinAnybody:
	case settings.JoinContacts:
		if !slices.Contains(m.cfg.Policy.Members, i.From.Account) && !slices.Contains(m.cfg.Contacts(), i.From.Account) {
			m.decline(i, "neither contact nor member")
			return
		}
	default:
		m.decline(i, "the room joins none")
		return
	}
	if _, banned := m.cfg.Room.RoleOf("jami:" + i.From.Account.String()); banned {
		m.decline(i, "banned")
		return
	}
	m.accept(i)
}

// accept has a conversation joined, at the next start if not in this one.
func (m *Log) accept(i swarm.Invitation) {
	select {
	case m.guests <- i:
		m.remember(func(d *stateData) { d.Guest = with(d.Guest, i.Conversation, i.From.Account.String()) })
	default:
		m.decline(i, "too many invitations")
	}
}

// acceptAgain goes on with the invitations that were accepted before a restart.
func (m *Log) acceptAgain() {
	for id, from := range m.state.get().Guest {
		account, err := value.ParseKey(from)
		if err != nil || m.swarm.Conversation(id) != nil {
			m.remember(func(d *stateData) { d.Guest = with(d.Guest, id, "") })
			continue
		}
		m.accept(swarm.Invitation{Conversation: id, From: swarm.Peer{Account: account}})
	}
}

func (m *Log) decline(i swarm.Invitation, why string) {
	m.log.Info("invitation to a conversation declined", "conversation", i.Conversation, "from", i.From.Account, "reason", why)
	m.swarm.Decline(i.Conversation)
	m.remember(func(d *stateData) { d.Guest = with(d.Guest, i.Conversation, "") })
}

// visit joins conversations as a guest, one after the other: each is a whole repository to fetch.
func (m *Log) visit() {
	for {
		select {
		case i := <-m.guests:
			if m.visiting() >= maxGuest {
				m.decline(i, "too many conversations")
				continue
			}
			m.join(i)
		case <-m.ctx.Done():
			return
		}
	}
}

// visiting is how many conversations of others we are in.
func (m *Log) visiting() (n int) {
	for _, c := range m.swarm.Conversations() {
		if c != m.own.Load() && c.Repository().Mode() != commit.OneToOne {
			n++
		}
	}
	return n
}

func (m *Log) join(i swarm.Invitation) {
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(m.ctx, joinTime)
		_, err := m.swarm.Accept(ctx, i.Conversation)
		if errors.Is(err, swarm.ErrNoInvitation) { // it came before a restart
			_, err = m.swarm.AcceptFrom(ctx, i.Conversation, i.From.Account)
		}
		cancel()
		switch {
		case err == nil:
			m.remember(func(d *stateData) { d.Guest = with(d.Guest, i.Conversation, "") })
			m.log.Info("conversation joined", "conversation", i.Conversation, "of", i.From.Account)
			return
		case m.ctx.Err() != nil:
			return
		case try == joinTries:
			m.log.Warn("conversation cannot be joined", "conversation", i.Conversation, "from", i.From.Account, "error", err)
			return
		}
		m.log.Info("conversation cannot be joined yet", "conversation", i.Conversation, "error", err)
		t := time.NewTimer(joinAgain)
		select {
		case <-t.C:
		case <-m.ctx.Done():
			t.Stop()
			return
		}
	}
}
