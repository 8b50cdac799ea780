package conference

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"rendezvous/conference/settings"
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
	dialers  []Dialer
	absent   []Ban           // for good, of rooms that are not there: a configuration may name them again
	leftOut  []settings.Room // made at run time, but not to be had at present; the store keeps them

	saving sync.Mutex // one save at a time, and what goes with it; may be held while the store waits for the disk
}

// NewHost returns a host with the rooms that the configuration and the store name. It fails if the store cannot be read,
// as who is banned would not be known, and for rooms of the configuration that RoomConfig.Check refuses or that are there
// twice (ErrRoomExists). Rooms of the store that are wrong are left out, and logged.
func NewHost(cfg Config) (*Host, error) {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	h := &Host{
		cfg:      cfg,
		guard:    newPINGuard(),
		rooms:    make(map[string]*Room),
		declared: make(map[string]bool),
	}
	var made []settings.Room
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
		if err := check(rc); err != nil {
			return nil, err
		}
		if seen[rc.ID] {
			return nil, fmt.Errorf("room %s: %w", rc.ID, ErrRoomExists)
		}
		seen[rc.ID] = true
	}
	h.absent = bans
	mc := cfg.Mixer
	mc.Log = cfg.Log.With("room", "(foyer)")
	h.foyer = mixer.New(mc)
	for _, rc := range cfg.Rooms {
		h.declared[rc.ID] = true
		h.add(rc)
	}
	for _, rc := range made {
		if err := check(rc); err != nil || h.rooms[rc.ID] != nil {
			cfg.Log.Warn("room made at run time left out: the configuration has one of this id, or it is wrong", "room", rc.ID, "error", err)
			h.leftOut = append(h.leftOut, rc)
			continue
		}
		h.add(rc)
	}
	return h, nil
}

// returnBans gives a room that is made the bans that it had. The caller holds mu, or nobody else knows the host yet.
func (h *Host) returnBans(r *Room) {
	h.absent = slices.DeleteFunc(h.absent, func(b Ban) bool {
		if b.Room != r.id {
			return false
		}
		r.bans[b.Identity] = b
		return true
	})
}

// add makes a room. The caller holds mu, or nobody else knows the host yet.
func (h *Host) add(rc settings.Room) *Room {
	r := newRoom(h, titled(rc))
	h.returnBans(r)
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

// ByNumber returns the room that phones reach by a number, or nil. A room of the configuration comes before one made at run time.
func (h *Host) ByNumber(number string) (found *Room) {
	if number == "" {
		return nil
	}
	for _, r := range h.Rooms() {
		if r.Settings().Number == number && (found == nil || h.isDeclared(r.id)) {
			found = r
		}
	}
	return found
}

// numberFree refuses a room whose number leads elsewhere already.
func (h *Host) numberFree(rc settings.Room) error {
	if rc.Number == "" {
		return nil
	}
	for _, r := range h.Rooms() {
		if r.id != rc.ID && (r.id == rc.Number || r.Settings().Number == rc.Number) {
			return ErrNumberTaken
		}
	}
	return nil
}

// Create makes a room at run time. It is there when the store has it, and not if that fails. The error is that of
// settings.Room.Check, ErrRoomExists, ErrNumberTaken, a *Refusal while the host stops, or the store's.
func (h *Host) Create(rc settings.Room) (*Room, error) {
	if err := check(rc); err != nil {
		return nil, err
	}
	h.saving.Lock()
	defer h.saving.Unlock()
	h.mu.Lock()
	there, closed := h.rooms[rc.ID] != nil, h.closed
	h.mu.Unlock()
	switch {
	case closed:
		return nil, &Refusal{RefusedDraining, "The host is shutting down."}
	case there:
		return nil, ErrRoomExists
	}
	if err := h.numberFree(rc); err != nil {
		return nil, err
	}
	if err := h.saveRooms(append(h.made(rc.ID), titled(rc))); err != nil {
		return nil, err
	}
	h.mu.Lock()
	if h.closed { // meanwhile; the next start has the room
		h.mu.Unlock()
		return nil, &Refusal{RefusedDraining, "The host is shutting down."}
	}
	r := h.add(rc)
	h.mu.Unlock()
	h.roomsChanged()
	return r, nil
}

// Change has how make new settings of the present ones for a room that was made at run time, with no other change in between, and
// returns them; see Configure for what changes when. The room stays as it was if the store does not take the change. The error is how's, that of
// settings.Room.Check, a *Refusal with RefusedNoRoom, ErrRoomDeclared for a room of the configuration, ErrNumberTaken, or the store's.
func (h *Host) Change(id string, how func(settings.Room) (settings.Room, error)) (settings.Room, error) {
	h.saving.Lock()
	defer h.saving.Unlock()
	r, err := h.Room(id)
	if err != nil {
		return settings.Room{}, err
	}
	if h.isDeclared(id) {
		return settings.Room{}, ErrRoomDeclared
	}
	rc, err := how(r.Settings())
	if err != nil {
		return settings.Room{}, err
	}
	rc.ID = id
	if err := check(rc); err != nil {
		return settings.Room{}, err
	}
	if err := h.numberFree(rc); err != nil {
		return settings.Room{}, err
	}
	rc = titled(rc)
	if err := h.saveRooms(append(h.made(id), rc)); err != nil {
		return settings.Room{}, err
	}
	r.configure(rc)
	h.roomsChanged()
	return rc, nil
}

// Delete ends the meeting of a room that was made at run time, and the room with its bans, once the store has taken note.
// The error is ErrRoomDeclared for a room of the configuration, a *Refusal with RefusedNoRoom, or the store's; the room
// is there still.
func (h *Host) Delete(id string) error {
	h.saving.Lock()
	defer h.saving.Unlock()
	if h.isDeclared(id) {
		return ErrRoomDeclared
	}
	if _, err := h.Room(id); err != nil {
		return err
	}
	if err := h.saveRooms(h.made(id)); err != nil {
		return err
	}
	h.mu.Lock()
	r := h.rooms[id]
	h.leftOut = slices.DeleteFunc(h.leftOut, func(rc settings.Room) bool { return rc.ID == id })
	delete(h.rooms, id)
	h.mu.Unlock()
	r.close(EndMeeting)
	h.cfg.Metrics.rooms.Dec()
	if err := h.saveBans(); err != nil {
		h.cfg.Log.Warn("bans of a room that is deleted are still in the store", "room", id, "error", err)
	}
	h.roomsChanged()
	return nil
}

// check refuses what a room cannot be.
func check(rc settings.Room) error {
	if err := rc.Check(); err != nil {
		return fmt.Errorf("room %.80s: %w", rc.ID, err)
	}
	return nil
}

// titled is the room with its id for a title, if it has none.
func titled(rc settings.Room) settings.Room {
	rc.Title = cmp.Or(rc.Title, rc.ID)
	return rc
}

func (h *Host) roomsChanged() {
	if h.cfg.RoomsChanged != nil {
		h.cfg.RoomsChanged()
	}
}

// Configure brings the rooms that the config file declares up to date: new ones are made, missing ones end; their bans
// for good hold again when they come back. PINs, roles, title and limits are in force at once; layout, lobby, lecture and
// self-unmute, which moderators may have changed, with the next meeting. It fails for what settings.Room.Check refuses and
// for ids that are there twice, or were made at run time (ErrRoomExists); nothing has changed then.
func (h *Host) Configure(rooms []settings.Room) error {
	want := make(map[string]settings.Room, len(rooms))
	for _, rc := range rooms {
		if err := check(rc); err != nil {
			return err
		}
		if _, twice := want[rc.ID]; twice {
			return fmt.Errorf("room %s: %w", rc.ID, ErrRoomExists)
		}
		want[rc.ID] = rc
	}
	var gone []*Room
	var changed []*Room
	h.saving.Lock()
	defer h.saving.Unlock()
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
		r.configure(titled(want[r.id]))
	}
	for _, r := range gone {
		r.close(EndMeeting)
		h.cfg.Metrics.rooms.Dec()
		bans := r.lasting()
		h.mu.Lock()
		h.absent = append(h.absent, bans...)
		h.mu.Unlock()
	}
	return nil
}

func (h *Host) isDeclared(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.declared[id]
}

// Foyer lets a caller hear what is played to them (leg.Play) before they are in any
// room. The returned function takes them out again and must be called before Join.
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

// Busy reports whether the host has too much to do to take in anybody but moderators (Config.Admits).
func (h *Host) Busy() bool { return h.cfg.Admits != nil && !h.cfg.Admits() }

// TellOverload tells the moderators of all rooms, in text, what the host gives up for its load.
func (h *Host) TellOverload(text string) {
	for _, r := range h.Rooms() {
		r.mu.Lock()
		r.tell(Notice{NoticeOverload, text}, leads)
		r.mu.Unlock()
	}
}

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

// made are the rooms made at run time, without one. The caller holds saving.
func (h *Host) made(without string) (made []settings.Room) {
	for _, r := range h.Rooms() {
		if r.id != without && !h.isDeclared(r.id) {
			made = append(made, r.Settings())
		}
	}
	for _, rc := range h.leftOut {
		if rc.ID != without {
			made = append(made, rc)
		}
	}
	return made
}

// saveRooms keeps rooms made at run time. The caller holds saving.
func (h *Host) saveRooms(made []settings.Room) error {
	if h.cfg.Store == nil {
		return nil
	}
	slices.SortFunc(made, func(a, b settings.Room) int { return strings.Compare(a.ID, b.ID) })
	if err := h.cfg.Store.SaveRooms(made); err != nil {
		return fmt.Errorf("save rooms: %w", err)
	}
	return nil
}

// keepBans is saveBans for who does not hold saving.
func (h *Host) keepBans() error {
	h.saving.Lock()
	defer h.saving.Unlock()
	return h.saveBans()
}

// saveBans keeps the bans for good of all rooms, also of those that are not there at present. The caller holds saving.
func (h *Host) saveBans() error {
	if h.cfg.Store == nil {
		return nil
	}
	h.mu.Lock()
	bans := slices.Clone(h.absent)
	rooms := slices.Collect(maps.Values(h.rooms))
	h.mu.Unlock()
	for _, r := range rooms {
		bans = append(bans, r.lasting()...)
	}
	slices.SortFunc(bans, func(a, b Ban) int {
		return cmp.Or(strings.Compare(a.Room, b.Room), strings.Compare(a.Identity, b.Identity))
	})
	if err := h.cfg.Store.SaveBans(bans); err != nil {
		return fmt.Errorf("save bans: %w", err)
	}
	return nil
}
