package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"rendezvous/internal/hosttest"
)

// member is another host in a network of its own, whose room is a member of the conversation of the tortured host's room.
type member struct {
	site *hosttest.Site
	proc *hosttest.Process
	id   string // of the room's account
	// Of the network.
	name string // of the namespace, and of the link's end on our side
	cut  bool
}

// Addresses of the two ends of the link.
const (
	hostAddress   = "10.99.7.1"
	memberAddress = "10.99.7.2"
	memberPort    = 4222 // of its node of the DHT
)

// memberSettings are those of the other host.
const memberSettings = `
sip: {enabled: false}
jami: {enabled: true, dht_port: %d, bootstrap: ["%s:%d"], stun: []}
rooms: {main: {title: Member, recording: "off", conversation: {join: anybody}}}
`

// newMember starts one, whose DHT joins that of the host. It is to be closed after an error too.
func newMember(ctx context.Context, dir, program string, dhtPort int) (m *member, err error) {
	m = &member{name: fmt.Sprintf("torture%d", os.Getpid())}
	inside := "m" + m.name
	for _, args := range [][]string{
		{"netns", "add", m.name},
		{"link", "add", m.name, "type", "veth", "peer", "name", inside, "netns", m.name},
		{"addr", "add", hostAddress + "/24", "dev", m.name},
		{"link", "set", m.name, "up"},
		{"-n", m.name, "addr", "add", memberAddress + "/24", "dev", inside},
		{"-n", m.name, "link", "set", inside, "up"},
		{"-n", m.name, "link", "set", "lo", "up"},
	} {
		if err := command("ip", args...); err != nil {
			return m, err
		}
	}
	dir = filepath.Join(dir, "member")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return m, err
	}
	file := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, memberSettings, memberPort, hostAddress, dhtPort), 0o600); err != nil {
		return m, err
	}
	if m.site, err = hosttest.Prepare(dir, program, file, "RENDEZVOUS_JAMI_ENABLED=true"); err != nil {
		return m, err
	}
	m.site.Wrap = []string{"ip", "netns", "exec", m.name}
	if m.proc, err = m.site.Launch(); err != nil {
		return m, err
	}
	return m, wait(ctx, time.Minute, "the member has no Jami account", func() (bool, error) {
		out, stderr, err := m.site.Run("rooms", "--json")
		if err != nil {
			return false, fmt.Errorf("%w: %s", err, stderr)
		}
		var rooms []struct{ Addresses map[string]string } // by door
		if err = json.Unmarshal([]byte(out), &rooms); err == nil && len(rooms) > 0 {
			m.id = rooms[0].Addresses["jami"]
		}
		return m.id != "", err
	})
}

// link connects the two, or parts them.
func (m *member) link(up bool) error {
	if m.cut == !up {
		return nil
	}
	m.cut = !up
	return command("ip", "-n", m.name, "link", "set", "m"+m.name, map[bool]string{true: "up", false: "down"}[up])
}

// chats are the lines in the member's copy of a conversation, by git.
func (m *member) chats(conversation string) (map[string]int, error) {
	copied := filepath.Join(m.site.Data("jami"), "main", "conversations", conversation)
	out, err := exec.Command("git", "-C", copied, "log", "--format=%B", "main").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("git log: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return lines(string(out)), nil
}

func (m *member) close() error {
	var err error
	if m.proc != nil {
		err = m.proc.Stop()
	}
	return errors.Join(err, command("ip", "netns", "del", m.name)) // the link goes with it
}

// conversation is the id of the room's own.
func (h *host) conversation() (string, error) {
	var state struct{ Conversation string }
	b, err := os.ReadFile(h.site.Data("jami/main/conversation.json"))
	if err == nil {
		err = json.Unmarshal(b, &state)
	}
	return state.Conversation, err
}

// part parts the two while people speak, for a while.
func (h *host) part(pause func(least, most time.Duration)) error {
	if err := h.member.link(false); err != nil {
		return err
	}
	pause(3*time.Second, 25*time.Second)
	return h.member.link(true)
}

// checkMember waits until the member has all that was said.
func (h *host) checkMember(ctx context.Context, r *round) {
	if err := h.member.link(true); err != nil {
		r.fail("%v", err)
	}
	id, err := h.conversation()
	if err != nil {
		r.fail("%v", err)
		return
	}
	began := time.Now()
	var wrong []string
	err = wait(ctx, memberPatience, "the member lacks something", func() (bool, error) {
		has, err := h.member.chats(id)
		if err != nil {
			return false, err
		}
		wrong = h.model.compare(chats, has)
		return len(wrong) == 0, nil
	})
	r.member = time.Since(began)
	if err != nil {
		r.fail("%v: %s", err, strings.Join(wrong[:min(len(wrong), 5)], "; "))
	}
}
