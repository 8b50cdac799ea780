package conference

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"rendezvous/mixer"
	"rendezvous/mixer/leg"
)

// Host keeps all rooms of this program.
type Host struct {
	cfg   Config
	foyer *mixer.Mixer // for those in no room yet and those in lobbies: nobody there hears another
	guard *pinGuard

	wg       sync.WaitGroup // mailboxes
	draining atomic.Bool
	closing  sync.Once
	present  atomic.Int64 // participants in all rooms

	mu       sync.Mutex // guards what follows; never held together with a room's
	closed   bool
	rooms    map[string]*Room
	declared map[string]bool // by the config file
	dialers  map[string]Dialer

	saving sync.Mutex // one save at a time; may be held while the store waits for the disk
}

// NewHost returns a host with the rooms that the configuration and the store name.
func NewHost(cfg Config) (*Host, error) {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	h := &Host{
		cfg:      cfg,
		guard:    newPINGuard(),
		rooms:    make(map[string]*Room),
		declared: make(map[string]bool),
		dialers:  make(map[string]Dialer),
	}
	var made []RoomConfig
	var bans []Ban
	if cfg.Store != nil {
		var err error
		if made, err = cfg.Store.LoadRooms(); err != nil {
			return nil, fmt.Errorf("load rooms made at run time: %w", err)
		}
		if bans, err = cfg.Store.LoadBans(); err != nil {
			return nil, fmt.Errorf("load bans: %w", err)
		}
	}
	seen := make(map[string]bool)
	for _, rc := range cfg.Rooms {
		if err := rc.Check(); err != nil {
			return nil, err
		}
		if seen[rc.ID] {
			return nil, fmt.Errorf("room %s: %w", rc.ID, ErrRoomExists)
		}
		seen[rc.ID] = true
	}
	mc := cfg.Mixer
	mc.Log = cfg.Log.With("room", "(foyer)")
	h.foyer = mixer.New(mc)
	for _, rc := range cfg.Rooms {
		h.declared[rc.ID] = true
		h.add(rc)
	}
	for _, rc := range made {
		if err := rc.Check(); err != nil || h.rooms[rc.ID] != nil {
			cfg.Log.Warn("room made at run time left out: the configuration has one of this id, or it is wrong", "room", rc.ID, "error", err)
			continue
		}
		h.add(rc)
	}
	for _, b := range bans {
		if r := h.rooms[b.Room]; r != nil {
			r.bans[b.Identity] = b
		}
	}
	return h, nil
}

// add makes a room. The caller holds mu, or nobody else knows the host yet.
func (h *Host) add(rc RoomConfig) *Room {
	r := newRoom(h, rc.withDefaults())
	h.rooms[rc.ID] = r
	h.cfg.Metrics.rooms.Inc()
	return r
}

// Room returns a room by id, or a *Refusal with RefusedNoRoom.
func (h *Host) Room(id string) (*Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.rooms[id]; r != nil {
		return r, nil
	}
	return nil, &Refusal{RefusedNoRoom, fmt.Sprintf("There is no room %.64q.", id)}
}

// Rooms returns all rooms, sorted by id.
func (h *Host) Rooms() []*Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.rooms), func(a, b *Room) int { return strings.Compare(a.id, b.id) })
}

// Create makes a room at run time; it is kept by the store.
func (h *Host) Create(rc RoomConfig) (*Room, error) {
	if err := rc.Check(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, &Refusal{RefusedDraining, "The host is shutting down."}
	}
	if h.rooms[rc.ID] != nil {
		h.mu.Unlock()
		return nil, ErrRoomExists
	}
	r := h.add(rc)
	h.mu.Unlock()
	return r, h.saveRooms()
}

// Update changes a room that was made at run time; see Configure for what changes when.
func (h *Host) Update(rc RoomConfig) error {
	if err := rc.Check(); err != nil {
		return err
	}
	r, err := h.Room(rc.ID)
	if err != nil {
		return err
	}
	if h.isDeclared(rc.ID) {
		return ErrRoomDeclared
	}
	r.configure(rc.withDefaults())
	return h.saveRooms()
}

// Delete ends the meeting of a room that was made at run time, and the room.
func (h *Host) Delete(id string) error {
	if h.isDeclared(id) {
		return ErrRoomDeclared
	}
	h.mu.Lock()
	r := h.rooms[id]
	delete(h.rooms, id)
	h.mu.Unlock()
	if r == nil {
		return &Refusal{RefusedNoRoom, fmt.Sprintf("There is no room %.64q.", id)}
	}
	r.close(EndMeeting)
	h.cfg.Metrics.rooms.Dec()
	return h.saveRooms()
}

// Configure brings the rooms that the config file declares up to date: new ones
// are made, missing ones end. PINs, roles, title and limits are in force at once; layout,
// lobby, lecture and self-unmute, which moderators may have changed, with the next meeting.
func (h *Host) Configure(rooms []RoomConfig) error {
	want := make(map[string]RoomConfig, len(rooms))
	for _, rc := range rooms {
		if err := rc.Check(); err != nil {
			return err
		}
		if _, twice := want[rc.ID]; twice {
			return fmt.Errorf("room %s: %w", rc.ID, ErrRoomExists)
		}
		want[rc.ID] = rc
	}
	var gone []*Room
	var changed []*Room
	h.mu.Lock()
	for id := range want {
		if h.rooms[id] != nil && !h.declared[id] {
			h.mu.Unlock()
			return fmt.Errorf("room %s: %w (made at run time)", id, ErrRoomExists)
		}
	}
	for id := range h.declared {
		if _, keep := want[id]; !keep {
			gone = append(gone, h.rooms[id])
			delete(h.rooms, id)
			delete(h.declared, id)
		}
	}
	for id, rc := range want {
		if r := h.rooms[id]; r != nil {
			changed = append(changed, r)
			continue
		}
		h.declared[id] = true
		h.add(rc)
	}
	h.mu.Unlock()
	for _, r := range changed {
		r.configure(want[r.id].withDefaults())
	}
	for _, r := range gone {
		r.close(EndMeeting)
		h.cfg.Metrics.rooms.Dec()
	}
	return nil
}

func (h *Host) isDeclared(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.declared[id]
}

// SetDialer registers who calls addresses of a scheme ("sip", "tel", "jami").
func (h *Host) SetDialer(scheme string, d Dialer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialers[scheme] = d
}

// Foyer lets a caller hear what is played to him (leg.Play) before he is in any
// room. The returned function takes him out again and must be called before Join.
func (h *Host) Foyer(l *leg.Leg) (leave func()) {
	id := newID("f")
	h.foyer.Add(id, l, mixer.Attributes{Silenced: true, Invisible: true})
	return sync.OnceFunc(func() { h.foyer.Remove(id) })
}

// Drain refuses newcomers in all rooms and outgoing calls, and tells those
// present, in text, that the host is about to stop.
func (h *Host) Drain(text string) {
	if h.draining.Swap(true) {
		return
	}
	for _, r := range h.Rooms() {
		r.tellAll(Notice{NoticeEnding, text})
	}
}

// Draining reports whether Drain has been called.
func (h *Host) Draining() bool { return h.draining.Load() }

// Participants is how many there are in all rooms and lobbies.
func (h *Host) Participants() int { return int(h.present.Load()) }

// Close puts everybody out with EndShutdown, finishes the recordings and waits
// until every Listener has heard Ended. Doors must be open to hear it. It is safe to call twice.
func (h *Host) Close() { h.closing.Do(h.close) }

func (h *Host) close() {
	h.draining.Store(true)
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	var wg sync.WaitGroup
	for _, r := range h.Rooms() {
		wg.Go(func() { r.close(EndShutdown) })
	}
	wg.Wait()
	h.wg.Wait()
	h.foyer.Close()
}

// canonical is the identity that stands for the same person through all doors.
func (h *Host) canonical(identity string) string {
	if c := h.cfg.Aliases[identity]; c != "" {
		return c
	}
	return identity
}

// saveRooms keeps the rooms made at run time.
func (h *Host) saveRooms() error {
	if h.cfg.Store == nil {
		return nil
	}
	h.saving.Lock()
	defer h.saving.Unlock()
	var made []RoomConfig
	for _, r := range h.Rooms() {
		if !h.isDeclared(r.id) {
			made = append(made, r.Config())
		}
	}
	if err := h.cfg.Store.SaveRooms(made); err != nil {
		return fmt.Errorf("save rooms: %w", err)
	}
	return nil
}

// saveBans keeps the bans for good of all rooms.
func (h *Host) saveBans() {
	if h.cfg.Store == nil {
		return
	}
	h.saving.Lock()
	defer h.saving.Unlock()
	var bans []Ban
	for _, r := range h.Rooms() {
		for _, b := range r.Bans() {
			if b.Forever {
				bans = append(bans, b)
			}
		}
	}
	if err := h.cfg.Store.SaveBans(bans); err != nil {
		h.cfg.Log.Error("bans not saved; they hold until the program ends", "error", err)
	}
}
