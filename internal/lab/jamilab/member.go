package jamilab

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// memberPatience is a deadline for what takes daemons seconds, on a busy machine.
const memberPatience = 90 * time.Second

// Member is a daemon as a member of conversations, in a test that ends when something does not
// come about.
type Member struct {
	*Peer
	t *testing.T
}

// Members makes an account for each daemon of a lab.
func Members(t *testing.T, l *Lab) []Member {
	t.Helper()
	if err := Accounts(t.Context(), l.Peers()...); err != nil {
		t.Fatal(err)
	}
	var out []Member
	for _, p := range l.Peers() {
		out = append(out, Member{p, t})
	}
	return out
}

// Member is the daemon, which has its account already, as a member of conversations.
func (p *Peer) Member(t *testing.T) Member { return Member{p, t} }

// Do calls a method of the daemon's ConfigurationManager, and stores its results.
func (m Member) Do(method string, args []any, results ...any) {
	m.t.Helper()
	if err := m.Call(m.t.Context(), "ConfigurationManager."+method, args, results...); err != nil {
		m.t.Fatal(err)
	}
}

// Hears waits for a signal; what says in the test's log what it stands for.
func (m Member) Hears(since int, signal, what string, match func(Signal) bool) Signal {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), memberPatience)
	defer cancel()
	s, err := m.Wait(ctx, since, signal, match)
	if err != nil {
		m.t.Fatalf("%s waits in vain for %s: %v", m.Name(), what, err)
	}
	return s
}

// Accept takes the invitation to a conversation, and waits until the daemon has it.
func (m Member) Accept(id string) {
	m.t.Helper()
	m.Hears(0, "conversationRequestReceived", "the invitation", func(s Signal) bool { return s.Text(1) == id })
	m.Do("acceptConversationRequest", []any{m.Account, id})
	m.Hears(0, "conversationReady", "the conversation", func(s Signal) bool { return s.Text(1) == id })
}

// Say sends a message.
func (m Member) Say(id, body string) { m.Write(id, body, "", 0) }

// Write sends a message; about is the message that it replies to or edits, by flag 0 or 1.
func (m Member) Write(id, body, about string, flag int32) {
	m.t.Helper()
	m.Do("sendMessage", []any{m.Account, id, body, about, flag})
}

// Gets waits for a message with a field, and returns all its fields.
func (m Member) Gets(id, field, value string) map[string]string {
	m.t.Helper()
	return m.GetsWhere(id, field+"="+value, func(f map[string]string) bool { return f[field] == value })
}

// GetsWhere waits for a message that matches, and returns its fields.
func (m Member) GetsWhere(id, what string, match func(map[string]string) bool) (out map[string]string) {
	m.t.Helper()
	m.Hears(0, "messageReceived", what, func(s Signal) bool {
		fields, ok := s.Args[2].(map[string]string)
		out = fields
		return ok && s.Text(1) == id && match(fields)
	})
	return out
}

// Download fetches the file of a message into path, and returns what is in it then.
func (m Member) Download(conversation, message, file, path string) []byte {
	m.t.Helper()
	const finished = 6
	mark := m.Mark()
	m.Do("downloadFile", []any{m.Account, conversation, message, file, path}, new(bool))
	m.Hears(mark, "dataTransferEvent", "the end of the download", func(s Signal) bool {
		code, ok := s.Args[4].(int32)
		return ok && s.Text(3) == file && code == finished
	})
	content, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	return content
}

// Repository is where the daemon keeps a conversation.
func (m Member) Repository(id string) string {
	return filepath.Join(m.Home(), ".local/share/jami", m.Account, "conversations", id)
}

// complaints are what daemons log when they refuse something of a conversation.
var complaints = []string{"Malformed", "alicious", "ould not validate", "couldn't be validated", "Verification failed", "is not valid", "Cannot validate", "Wrong", "Something wrong"}

// Satisfied checks that the daemon has refused nothing of its conversations.
func (m Member) Satisfied() {
	m.t.Helper()
	log, err := os.ReadFile(m.LogFile())
	if err != nil {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "conversation") && !strings.Contains(line, "commit") {
			continue
		}
		for _, c := range complaints {
			if strings.Contains(line, c) {
				m.t.Errorf("%s complains: %s", m.Name(), strings.TrimSpace(line))
			}
		}
	}
}
