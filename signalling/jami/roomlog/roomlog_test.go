package roomlog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/dht/value"
	"rendezvous/internal/eventually"
	"rendezvous/moderation"
	"rendezvous/swarm"
	"rendezvous/swarm/commit"
	"rendezvous/swarm/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChatBothWays(t *testing.T) {
	w := newWorld(t, Policy{Mode: commit.InvitesOnly})
	w.room.set(func(r *room) { r.roles["jami:0900000000000000000000000000000000000000"] = moderation.Moderator })
	w.room.set(func(r *room) { r.banned["jami:0600000000000000000000000000000000000000"] = true })
	w.roomlog.Event(chat("web", "Ann", "hello"))
	w.roomlog.Event(chat("swarm", "Bob", "this came from the conversation"))
	w.roomlog.Event(chat("api", "", "from the room itself"))
	w.roomlog.Sync()
	now := time.Now()
	w.member(1, "Bob", now, commit.Text("hi"))
	w.member(2, "", now, commit.Text("//no command"))
	w.member(3, "Cid", now.Add(-time.Hour), commit.Text("yesterday's news"))
	w.member(4, "Dora", now, commit.Message{Type: "application/unknown", Fields: map[string]string{"body": "x"}})
	w.member(6, "Fred", now, commit.Text("banned"))
	w.member(9, "Mo", now, commit.Text("/mute Ann"))
	w.member(9, "Mo", now.Add(-time.Hour), commit.Text("/end"))
	w.member(9, "Mo", now, commit.Text("/lock"))
	w.member(1, "Bob", now, commit.Text("the end"))
	eventually.True(t, "the end", func() bool { return strings.Contains(w.room.heard(), "the end") })
	want := "Bob (swarm, speaker): chat hi\nJami 02000000 (swarm, speaker): chat /no command\nMo (swarm, moderator): lock \nBob (swarm, speaker): chat the end"
	if got := w.room.heard(); got != want {
		t.Errorf("in the room:\n%s\nwant\n%s", got, want)
	}
	var lines []string
	for _, m := range w.said(commit.TypeText) {
		lines = append(lines, m.Get("body"))
		if (m.Get("reply-to") != "") != (m.Get("body") == "Done." || strings.Contains(m.Get("body"), "nobody")) {
			t.Errorf("reply %+v", m)
		}
	}
	if got := strings.Join(lines, "\n"); len(lines) != 4 || lines[0] != "Ann: hello" || lines[1] != "from the room itself" || lines[3] != "Done." {
		t.Errorf("in the conversation:\n%s", got)
	}
}

// Two hundred orders make few commits, and say nothing that members need not know.
func TestOrdersAreBatched(t *testing.T) {
	w := newWorld(t, Policy{})
	order := func(e audit.Entry) {
		w.roomlog.Event(conference.Event{Kind: conference.EventOrder, Time: time.Now(), Order: &e})
	}
	for i := range 200 {
		order(audit.Entry{Name: "Mo", Identity: "web:secret", Door: "web", Target: "p1", TargetName: "Ann", TargetIdentity: "sip:ann@example.org",
			Order: moderation.Order{Action: moderation.Mute, Target: "p1", On: i%2 == 0}, Result: audit.Done})
	}
	order(audit.Entry{Name: "Mo", Order: moderation.Order{Action: moderation.Dial, Text: "tel:+4930123456"}, Result: audit.Refused, Reason: "no way to call tel:+4930123456"})
	order(audit.Entry{Name: "Mo", Identity: "jami:m", Order: moderation.Order{Action: moderation.Ban, Target: "sip:x@example.org", On: true}, Result: audit.Done})
	order(audit.Entry{Name: "Ann", Order: moderation.Order{Action: moderation.Chat}, Result: audit.Done})
	w.close() // writes what is left
	w.open(Policy{})
	list, n := w.said(TypeOrders), 0
	for _, m := range list {
		var records []Record
		if err := json.Unmarshal([]byte(m.Get("orders")), &records); err != nil {
			t.Fatal(err)
		}
		n += len(records)
		for _, secret := range []string{"secret", "4930", "example.org"} {
			if strings.Contains(m.Get("orders"), secret) {
				t.Errorf("the orders tell of %s: %s", secret, m.Get("orders"))
			}
		}
	}
	if n != 202 || len(list) != 4 {
		t.Errorf("%d orders in %d commits", n, len(list))
	}
}

// A meeting is told with its length and who was there; one that a crash cut off is ended at the
// next start, as far as it was seen.
func TestMeetings(t *testing.T) {
	w := newWorld(t, Policy{})
	t0 := time.Now().Add(time.Second)
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	w.roomlog.Event(conference.Event{Kind: conference.EventMeetingBegan, Time: at(0)})
	for _, name := range []string{"Ann", "Bob", "Ann"} {
		w.roomlog.Event(conference.Event{Kind: conference.EventJoined, Name: name, Time: at(0)})
	}
	w.roomlog.Event(conference.Event{Kind: conference.EventMeetingEnded, Time: at(90 * time.Second)})
	w.roomlog.Event(conference.Event{Kind: conference.EventMeetingBegan, Time: at(100 * time.Second)})
	eventually.True(t, "the second meeting", func() bool { return len(w.said(commit.TypeCall)) == 3 })
	calls := w.said(commit.TypeCall)
	if calls[0].Get("duration") != "" || calls[1].Get("duration") != "90000" || calls[1].Get("attendees") != "Ann, Bob" || calls[0].Get("confId") != calls[1].Get("confId") {
		t.Errorf("%+v", calls)
	}

	// A crash: the state stays as it is.
	file := filepath.Join(w.dir, "conversation.json")
	eventually.True(t, "the state on disk", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), calls[2].Get("confId"))
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	own := w.roomlog.Conversation().ID()
	w.close()
	var s stateData
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	s.Meeting.Seen = s.Meeting.Began.Add(30 * time.Second)
	if text, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open(Policy{})
	if w.roomlog.Conversation().ID() != own {
		t.Error("another conversation after a restart")
	}
	eventually.True(t, "the end of the meeting", func() bool { return len(w.said(commit.TypeCall)) == 5 })
	calls = w.said(commit.TypeCall)
	if last := calls[4]; last.Get("confId") != calls[2].Get("confId") || last.Get("duration") != "30000" {
		t.Errorf("after a crash: %+v", last)
	}
}

// A recording is sent once, however often it is asked for, and its deletion is told.
func TestRecordings(t *testing.T) {
	w := newWorld(t, Policy{})
	r := Recording{Film: w.file("meeting.mp4", "Main room 2026.mp4"), Sidecar: w.file("meeting.json", "Main room 2026.json")}
	ref, err := w.roomlog.Keep(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	files := w.said(commit.TypeFile)
	if len(files) != 2 || files[0].Get("displayName") != "Main room 2026.mp4" || files[1].Get("displayName") != "Main room 2026.json" {
		t.Fatalf("%+v", files)
	}
	again, err := w.roomlog.Keep(t.Context(), r)
	if err != nil || again != ref || len(w.said(commit.TypeFile)) != 2 {
		t.Errorf("again: %s, %v, %d messages", again, err, len(w.said(commit.TypeFile)))
	}
	// A crash after the sidecar was sent, and before that was noted.
	film, sidecar := ref[strings.Index(ref, "/")+1:], w.roomlog.state.get().Files
	if err := w.roomlog.state.change(func(d *stateData) { d.Files = with(d.Files, film, "") }); err != nil {
		t.Fatal(err)
	}
	again, err = w.roomlog.Keep(t.Context(), r)
	if err != nil || again != ref || len(w.said(commit.TypeFile)) != 2 || w.roomlog.state.get().Files[film] != sidecar[film] {
		t.Errorf("after a crash: %s, %v, %d messages", again, err, len(w.said(commit.TypeFile)))
	}
	if err := w.roomlog.Forget(ref); err != nil {
		t.Fatal(err)
	}
	texts := w.said(commit.TypeText)
	if len(texts) != 1 || !strings.HasSuffix(ref, "/"+texts[0].Get("reply-to")) || !strings.Contains(texts[0].Get("body"), "Main room 2026.mp4 has been deleted") {
		t.Errorf("%+v", texts)
	}
	if err := w.roomlog.Forget(strings.Repeat("0", 40) + "/" + strings.Repeat("1", 40)); err != nil {
		t.Errorf("of another conversation: %v", err)
	}
	shelf, err := os.ReadFile(filepath.Join(w.dir, "conversations", w.roomlog.Conversation().ID()+".files.json"))
	if err != nil || strings.Contains(string(shelf), "meeting") {
		t.Errorf("files that are served still: %s %v", shelf, err)
	}
}

// Who becomes a contact or calls is invited, once, by policy; a conversation that is lost is not
// replaced behind its members' backs.
func TestInvitations(t *testing.T) {
	key := func(b byte) (k value.Key) { k[0] = b; return k }
	w := newWorld(t, Policy{Mode: commit.InvitesOnly, Invite: settings.InviteCallers, Members: []value.Key{key(1)}, Moderators: settings.ModeratorsAdmins})
	w.room.set(func(r *room) { r.banned["jami:"+key(4).String()] = true })
	w.roomlog.Contact(key(2))
	w.roomlog.Contact(key(2))
	w.roomlog.Contact(key(4))
	for _, e := range []conference.Event{
		{Kind: conference.EventJoined, Door: "jami", Identity: "jami:" + key(3).String()},
		{Kind: conference.EventJoined, Door: "web", Identity: "web:x"},
		{Kind: conference.EventJoined, Door: "jami", Identity: "jami:nonsense"},
	} {
		w.roomlog.Event(e)
	}
	role := func(b byte) repo.Role { return w.roomlog.Conversation().Repository().Role(key(b)) }
	eventually.True(t, "all are invited", func() bool { return role(1) == repo.Invited && role(2) == repo.Invited && role(3) == repo.Invited })
	if n := len(w.said(commit.TypeMember)); n != 3 || role(4) != repo.None {
		t.Errorf("%d invitations, the banned is %q", n, role(4))
	}
	// A ban for good is one from the conversation, too, until it is lifted.
	ban := func(on bool, text string) {
		w.roomlog.Event(conference.Event{Kind: conference.EventOrder, Order: &audit.Entry{Order: moderation.Order{Action: moderation.Ban, On: on, Text: text},
			TargetIdentity: "jami:" + key(3).String(), Result: audit.Done}})
	}
	ban(true, "meeting")
	ban(true, "forever")
	eventually.True(t, "the ban", func() bool { return role(3) == repo.Banned })
	ban(false, "")
	eventually.True(t, "the end of the ban", func() bool { return role(3) != repo.Banned })
	if n := len(w.said(commit.TypeMember)); n != 5 {
		t.Errorf("%d entries about members", n)
	}
	account := w.swarm.Account()
	if g := w.roomlog.Grant("jami:" + account.String()); g == nil || *g != moderation.Moderator {
		t.Errorf("an admin gets %v", g)
	}
	if g := w.roomlog.Grant("jami:" + key(1).String()); g != nil {
		t.Errorf("somebody invited gets %v", *g)
	}
	w.room.set(func(r *room) { r.title = "Another name" })
	w.close()
	w.open(w.roomlog.cfg.Policy)
	if p := w.roomlog.Conversation().Repository().Profile(); p.Title != "Another name" || p.HostAccount != account.String() || p.HostDevice != w.account.Device.LongID().String() {
		t.Errorf("profile %+v", p)
	}
	own := w.roomlog.Conversation().ID()
	w.close()
	if err := os.RemoveAll(filepath.Join(w.dir, "conversations", own)); err != nil {
		t.Fatal(err)
	}
	m, err := New(w.roomlog.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := swarm.Open(swarm.Config{Dir: filepath.Join(w.dir, "conversations"), Identity: w.account.Device, Network: alone{}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := m.Start(s); err == nil || !strings.Contains(err.Error(), own) {
		t.Errorf("a lost conversation: %v", err)
	}
	m.Close()
	// As the message says:
	if err := os.Remove(filepath.Join(w.dir, "conversation.json")); err != nil {
		t.Fatal(err)
	}
	w.open(Policy{})
}

// Events never wait, whatever happens to the log.
func TestEventsNeverBlock(t *testing.T) {
	w := newWorld(t, Policy{})
	w.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 3 * maxWaiting {
			w.roomlog.Event(chat("web", "Ann", "x"))
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("events block")
	}
	w.open(Policy{})
}

// What a caller writes in their one-to-one conversation with the room, where the chat beside their call
// leads, is said in the room, and stands in its conversation; what others write in their own is not.
func TestChatBesideACall(t *testing.T) {
	w := newWorld(t, Policy{})
	caller, other := value.Key{1}, value.Key{2}
	w.room.set(func(r *room) {
		r.people = []conference.Participant{{ID: "p1", Name: "Cal", Door: "jami", Identity: "jami:" + caller.String(), Joined: time.Now().Add(-time.Minute)}}
	})
	for _, account := range []value.Key{other, caller} {
		c, err := w.swarm.Create(commit.OneToOne, &account)
		if err != nil {
			t.Fatal(err)
		}
		e := repo.Entry{Account: account, Name: "their name", Time: time.Now(), Message: commit.Text("hello from " + account.String()[:2])}
		e.Device[0] = account[0]
		w.roomlog.Entry(c, e)
		early := e
		early.Message, early.Time = commit.Text("before the call"), e.Time.Add(-2*time.Minute)
		w.roomlog.Entry(c, early)
		e.Message, e.ID = commit.Text("/lock"), c.Repository().ID()
		w.roomlog.Entry(c, e)
		w.roomlog.Entry(c, repo.Entry{Account: account, Time: time.Now(), Message: commit.Text("x"), Device: w.account.Device.LongID()})
	}
	eventually.True(t, "the command", func() bool { return strings.Contains(w.room.heard(), "lock") })
	if got, want := w.room.heard(), "Cal (jami, speaker): chat hello from 01\nCal (jami, speaker): lock "; got != want {
		t.Errorf("in the room:\n%s\nwant\n%s", got, want)
	}
}

// An invitation that was accepted is not forgotten at a restart; one that the policy does not accept
// is declined.
func TestGuestAfterRestart(t *testing.T) {
	friend, stranger := value.Key{1}, value.Key{2}
	w := newWorld(t, Policy{Join: settings.JoinContacts, Members: []value.Key{friend}})
	wanted, unwanted := strings.Repeat("a", 40), strings.Repeat("b", 40)
	w.roomlog.Invited(swarm.Invitation{Conversation: unwanted, From: swarm.Peer{Account: stranger}})
	w.roomlog.Invited(swarm.Invitation{Conversation: wanted, From: swarm.Peer{Account: friend}})
	eventually.True(t, "the invitation is noted", func() bool { return w.roomlog.state.get().Guest[wanted] == friend.String() })
	for range 2 {
		w.close()
		w.open(Policy{Join: settings.JoinContacts})
		if g := w.roomlog.state.get().Guest; len(g) != 1 || g[wanted] != friend.String() {
			t.Errorf("after a restart: %v", g)
		}
	}
}

// A start whose state cannot be saved, as on a full disk, is tried again with the conversation that it has made.
func TestStartAgain(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	require.NoError(t, os.Symlink("/proc/self", full)) // a folder in which nothing can be made
	account, err := people()[0].Device.Chain.AccountID()
	require.NoError(t, err)
	m, err := New(Config{Room: &room{title: "Main"}, Account: account, Device: people()[0].Device.LongID(), StateFile: filepath.Join(full, "conversation.json")})
	require.NoError(t, err)
	s, err := swarm.Open(swarm.Config{Dir: filepath.Join(dir, "conversations"), Identity: people()[0].Device, Network: alone{}})
	require.NoError(t, err)
	defer s.Close()
	require.Error(t, m.Start(s))
	require.Error(t, m.Start(s))
	require.NoError(t, os.Remove(full))
	require.NoError(t, os.Mkdir(full, 0o700))
	require.NoError(t, m.Start(s))
	defer m.Close()
	require.Len(t, s.Conversations(), 1)
	state, err := os.ReadFile(filepath.Join(full, "conversation.json"))
	require.NoError(t, err)
	require.Contains(t, string(state), m.Conversation().ID())
}
