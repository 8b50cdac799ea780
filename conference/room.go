package conference

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rendezvous/conference/audit"
	"rendezvous/conference/settings"
	"rendezvous/mixer"
	"rendezvous/moderation"
)

// Bounds of what a room remembers.
const (
	auditLength    = 2000 // orders
	historyLength  = 200  // lines of chat
	departedLength = 256  // who left, so that they can still be banned
)

// Room is a permanent meeting place.
//
// A meeting is the time from the first admitted participant to the last who
// leaves; what moderators ordered is forgotten with it, except bans for good.
type Room struct {
	host *Host
	id   string
	log  *slog.Logger
	mix  *mixer.Mixer
	wake chan struct{}   // one token: publish soon
	ctx  context.Context // ends with the room; for dialling, speaking, starting recordings
	end  context.CancelFunc
	wg   sync.WaitGroup // the publisher, recordings, dialling, speaking; Add only under mu and not closed

	// mu guards everything below, and the members' fields that say so. It is held
	// while the mixer is told of a change, so that the mixer hears of changes in the order they
	// were made; mixer calls wait at most for the tick in progress. Listeners, recorders,
	// dialers, speakers and the store are never called under it. Only move holds two rooms' locks.
	mu      sync.Mutex
	cfg     settings.Room
	closed  bool
	members []*Member // in order of arrival, the lobby included
	byID    map[string]*Member

	locked, lobby, lecture, selfUnmute, hideNonVideo, endWithHost bool

	layout   moderation.Layout
	pinned   pin
	limit    int           // participants
	duration time.Duration // of the meeting
	from     time.Time
	until    time.Time

	began        time.Time // of the meeting; zero: nobody has been admitted
	warned       int       // how many of the warnings have been given that time is nearly up
	hostless     time.Time // when the meeting ends because its host has left; zero: not so
	hostlessRole moderation.Role

	bans       map[string]Ban // by identity
	removed    marks          // in this meeting: they wait in the lobby when they come back
	shunned    shunned        // in this meeting
	repeats    repeats        // refusals that are not written yet
	silenced   marks          // muted in this meeting, for those who leave and come back
	departed   []departed
	pins       pinBudget
	leaderPINs pinBudget // guesses at the moderators' PIN

	history []Message
	orders  *audit.Ring

	recording moderation.Recording
	run       *recordingRun // nil: none
	retake    retake
	outgoing  int           // calls being made
	reactions *rate.Limiter // of all together
	speaking  int           // announcements being spoken

	stop         chan struct{} // ends the publisher; nil: the room is empty
	activity     map[string]mixer.Activity
	tiles        map[string][]mixer.Tile // by participant
	tilesVersion uint64
	sampled      time.Time // when participants' paths were last looked at
	howled       time.Time // when somebody was last muted for howling
	serial       uint64
	info         *Info
	dirty        bool  // info is not up to date
	unsent       bool  // info has not been sent to the members
	published    *Info // the newest that has been sent to them in this meeting; nil: none
}

type pin struct{ id, label string }

// departed is somebody who has left.
type departed struct {
	id, name, identity string
	role               moderation.Role
	proven             bool
	network            string // see Caller.network
}

func newRoom(h *Host, cfg settings.Room) *Room {
	mc := h.cfg.Mixer
	mc.Log = h.cfg.Log.With("room", cfg.ID)
	r := &Room{
		host:      h,
		id:        cfg.ID,
		log:       mc.Log,
		mix:       mixer.New(mc),
		wake:      make(chan struct{}, 1),
		cfg:       cfg,
		byID:      make(map[string]*Member),
		bans:      make(map[string]Ban),
		repeats:   make(repeats),
		orders:    audit.NewRing(auditLength),
		reactions: rate.NewLimiter(roomReactions, roomReactionsBurst),
	}
	for what, p := range map[string]string{"PIN": cfg.PIN, "moderators' PIN": cfg.ModeratorPIN} {
		if p != "" && len(p) < soundPIN {
			r.log.Warn("a short "+what+" is guessed sooner or later: take six digits or more", "digits", len(p))
		}
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.reset()
	return r
}

// reset brings the room to its configured state, for the next meeting.
func (r *Room) reset() {
	c := r.cfg
	r.locked, r.lobby, r.lecture, r.selfUnmute = false, c.Lobby, c.Lecture, c.SelfUnmute
	r.hideNonVideo, r.endWithHost, r.layout = c.HideNonVideo, c.EndWithHost, c.Layout
	r.pinned = pin{}
	r.limit, r.duration, r.from, r.until = c.MaxParticipants, time.Duration(c.MaxDuration), time.Time(c.From), time.Time(c.Until)
	r.began, r.warned, r.hostless = time.Time{}, 0, time.Time{}
	r.removed, r.silenced, r.departed = make(marks), make(marks), nil
	r.shunned = make(shunned)
	maps.DeleteFunc(r.bans, func(_ string, b Ban) bool { return !b.Forever })
	r.history = nil
	r.recording, r.retake = moderation.RecordingOff, retake{}
	r.activity, r.tiles, r.published = nil, nil, nil
	r.mix.SetLayout(canvasLayouts[r.layout])
	r.mix.SetPinned("", "")
	r.mix.SetHideNonVideo(r.hideNonVideo)
	r.mix.SetProcessing(processing(c))
	r.dirty = true
}

// configure takes a changed configuration; see Host.Configure.
func (r *Room) configure(cfg settings.Room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.cfg
	r.cfg = cfg
	if len(r.members) == 0 {
		r.reset()
		return
	}
	r.mix.SetProcessing(processing(cfg))
	if old.MaxParticipants != cfg.MaxParticipants {
		r.limit = cfg.MaxParticipants
	}
	if old.MaxDuration != cfg.MaxDuration {
		r.duration, r.warned = time.Duration(cfg.MaxDuration), 0
	}
	if from, until := time.Time(cfg.From), time.Time(cfg.Until); !time.Time(old.From).Equal(from) || !time.Time(old.Until).Equal(until) {
		r.from, r.until, r.warned = from, until, 0
	}
	r.changed()
}

// ID is the room's id, as in the config: [a-z0-9-]+.
func (r *Room) ID() string { return r.id }

// Title is the room's name for people.
func (r *Room) Title() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.Title
}

// NeedsPIN reports whether callers must give a PIN.
func (r *Room) NeedsPIN() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.PIN != ""
}

// Settings is the room as it was declared, or last changed by Host.Change. It
// contains the PINs. Its lists must not be written.
func (r *Room) Settings() settings.Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg
}

// Banned reports whether a caller is kept out.
func (r *Room) Banned(c Caller) bool {
	c.Identity = r.host.canonical(c.Identity)
	r.mu.Lock()
	defer r.mu.Unlock()
	b, banned := r.bans[c.Identity]
	return banned && b.meant(c)
}

// Bans returns who is kept out, sorted by identity.
func (r *Room) Bans() []Ban {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.bans), func(a, b Ban) int { return strings.Compare(a.Identity, b.Identity) })
}

// History returns the newest lines of the present meeting's chat, oldest first.
func (r *Room) History() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history)
}

// Audit returns the newest n orders, accepted and refused, oldest first; all that
// are remembered for n <= 0.
func (r *Room) Audit(n int) []audit.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orders.Last(n)
}

// close ends the meeting and the room for good and waits for its goroutines.
func (r *Room) close(reason EndReason) {
	r.mu.Lock()
	r.closed = true
	r.endMeeting(reason)
	r.mu.Unlock()
	r.end()
	r.wg.Wait()
	r.mix.Close()
}

// count is how many are present (the lobby not counted) with at least the role.
func (r *Room) count(least moderation.Role) int {
	n := 0
	for _, m := range r.members {
		if !m.waiting && m.role >= least {
			n++
		}
	}
	return n
}

// tellAll posts a notice to everybody present.
func (r *Room) tellAll(n Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(n, everybody)
}

// tell posts a notice to those present who are meant.
func (r *Room) tell(n Notice, meant func(*Member) bool) {
	for _, m := range r.members {
		if !m.waiting && meant(m) {
			m.box.post(n)
		}
	}
}

func leads(m *Member) bool { return m.role >= moderation.Moderator }

// newID returns an id that is unique in the host's life (80 random bits).
func newID(prefix string) string {
	var b [10]byte
	rand.Read(b[:])
	return prefix + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
