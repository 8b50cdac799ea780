package conference

import (
	"image"
	"time"

	"rendezvous/mixer"
	"rendezvous/moderation"
)

// infoInterval is the least time between two Infos to the members of a small room, and how
// often the mixer is asked who talks.
const infoInterval = 100 * time.Millisecond

// A room of more than infoCrowd changes all the time, and each change is told to many: the least time between two Infos grows with
// their number, up to infoSlowest.
const (
	infoCrowd   = 100
	infoSlowest = time.Second
)

// infoPause is the least time between two Infos in a room of so many.
func infoPause(members int) time.Duration {
	return min(max(infoInterval, infoInterval*time.Duration(members)/infoCrowd), infoSlowest)
}

// Info returns the room as it is now, with talk times and levels of now. It is shared and must not be written.
func (r *Room) Info() *Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshot()
}

// changed marks the snapshot as old and has a new one sent.
func (r *Room) changed() {
	r.dirty, r.unsent = true, true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// publisher watches the mixer and the clock and sends Infos while the room is not empty.
func (r *Room) publisher(stop chan struct{}) {
	tick := time.NewTicker(infoInterval)
	defer tick.Stop()
	var last time.Time
	pause := infoInterval
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		case <-r.wake:
			if time.Since(last) < pause {
				continue // with a later tick
			}
			tick.Reset(infoInterval)
		}
		activity := r.mix.Activity()
		tiles, version := r.mix.Tiles()
		r.mu.Lock()
		if r.stop != stop { // the meeting has ended
			r.mu.Unlock()
			return
		}
		now := time.Now()
		r.observe(activity, tiles, version)
		r.checkTimes(now)
		pause = infoPause(len(r.members))
		if r.stop == stop && r.unsent && now.Sub(last) > pause-infoInterval/2 { // ticks come a little early, and late
			r.publish()
			last = now
		}
		r.mu.Unlock()
	}
}

// observe takes in what the mixer sees.
func (r *Room) observe(activity map[string]mixer.Activity, tiles []mixer.Tile, version uint64) {
	now := time.Now()
	r.activity = activity
	sampled := now.Sub(r.sampled) >= sampleEvery
	if sampled {
		r.sampled = now
	}
	r.dirty = true // whoever asks for an Info gets levels and talk times of now; they are not sent for their own sake
	for _, m := range r.members {
		a, ok := activity[m.id]
		if !ok {
			a.Level = silence
		}
		m.noise.add(a.Level)
		if sampled && m.network.add(m.leg.ObserveQuality()) {
			r.changed()
		}
		heard := !m.told.Silenced && !m.waiting
		if heard && r.seeTo(m, a.Fault, now) {
			heard = false
		}
		// The caller's own detector counts only while the host hears something, too.
		talking := heard && (a.Talking || m.voice && a.Level < voiceLevel)
		if talking != m.talking {
			m.talking = talking
			r.changed()
		}
	}
	if version == r.tilesVersion && r.tiles != nil {
		return
	}
	r.tilesVersion = version
	r.tiles = make(map[string][]mixer.Tile)
	for _, t := range tiles {
		r.tiles[t.ID] = append(r.tiles[t.ID], t)
		if m := r.byID[t.ID]; m != nil && t.Label == labelScreen {
			m.screen = true
		}
	}
	r.changed()
}

// publish gives the newest snapshot to everybody's mailbox. Those in the lobby see
// only themselves.
func (r *Room) publish() {
	info := r.snapshot()
	r.unsent, r.published = false, info
	for i, m := range r.members {
		if m.waiting {
			m.box.postInfo(lobbyInfo(info, i))
		} else {
			m.box.postInfo(info)
		}
	}
	if r.run != nil {
		r.run.postInfo(info)
	}
}

// lobbyInfo is what the i-th participant sees of the room while they wait.
func lobbyInfo(info *Info, i int) *Info {
	return &Info{
		Room: info.Room, Title: info.Title, Serial: info.Serial, Width: info.Width, Height: info.Height,
		Recording: moderation.RecordingOff, Lobby: true, Participants: info.Participants[i : i+1 : i+1],
	}
}

func (r *Room) snapshot() *Info {
	if r.info != nil && !r.dirty {
		return r.info
	}
	r.serial++
	width, height := r.mix.Size()
	info := &Info{
		Room: r.id, Title: r.cfg.Title, Serial: r.serial,
		Width: width, Height: height,
		Layout: r.layout, Recording: r.recording,
		Locked: r.locked, Lobby: r.lobby, Lecture: r.lecture, SelfUnmute: r.selfUnmute,
		HideNonVideo: r.hideNonVideo, EndWithHost: r.endWithHost, Max: r.limit,
		Participants: make([]Participant, len(r.members)),
	}
	if !r.began.IsZero() {
		began := r.began
		info.Began = &began
	}
	if end := r.ends(time.Now()); !end.IsZero() {
		info.Ends = &end
	}
	for i, m := range r.members {
		info.Participants[i] = r.participant(m)
	}
	r.info, r.dirty = info, false
	return info
}

const (
	labelMain   = "main"
	labelScreen = "screen"
)

func (r *Room) participant(m *Member) Participant {
	p := Participant{
		ID: m.id, Name: m.name, Door: m.caller.Door, Address: m.caller.Address, Connection: m.connection,
		Session: m.caller.Session, Device: m.caller.Device, Identity: m.caller.Identity,
		Role: m.role, Joined: m.joined, Waiting: m.waiting,
		Muted: m.muted, SelfMuted: m.selfMuted, Talking: m.talking, Floor: m.floor, Recording: m.recording,
		Level: silence, Network: m.network.class, Quality: m.network.newest,
	}
	if !m.hand.IsZero() {
		hand := m.hand
		p.Hand = &hand
	}
	if a, ok := r.activity[m.id]; ok {
		p.TalkTime, p.Level = a.TalkTime.Seconds(), a.Level
	}
	if m.role != moderation.Observer {
		p.Streams = r.streams(m)
	}
	return p
}

// streams lists a participant's pictures: the camera always, a screen once there was one.
func (r *Room) streams(m *Member) []Stream {
	streams := []Stream{{Label: labelMain, Muted: m.hideVideo}}
	if m.screen {
		streams = append(streams, Stream{Label: labelScreen, Muted: m.hideScreen})
	}
	shown := false
	for _, t := range r.tiles[m.id] {
		for i := range streams {
			if s := &streams[i]; s.Label == t.Label {
				s.Rect, s.Active, s.Video = t.Rect, t.Active, t.Video
				shown = shown || s.Label == labelScreen
			}
		}
	}
	if len(streams) == 2 && !shown && !m.hideScreen {
		streams = streams[:1] // no longer shared
	}
	for i := range streams {
		if streams[i].Muted {
			streams[i].Rect, streams[i].Active, streams[i].Video = image.Rectangle{}, false, false
		}
	}
	return streams
}
