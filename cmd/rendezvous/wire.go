package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"rendezvous/conference"
	"rendezvous/conference/audit"
	"rendezvous/internal/admin"
	"rendezvous/internal/atomicfile"
	"rendezvous/internal/config"
	"rendezvous/internal/datadir"
	"rendezvous/internal/speech"
	"rendezvous/internal/store"
	"rendezvous/internal/tracing"
	"rendezvous/mixer"
	"rendezvous/mixer/overload"
	"rendezvous/recordings"
	"rendezvous/signalling/jami"
	"rendezvous/signalling/sip"
	"rendezvous/signalling/web"
	"rendezvous/signalling/web/control"
	"rendezvous/signalling/web/links"
)

// house is everything a running host consists of.
type house struct {
	cfg         atomic.Pointer[config.Config] // in force; replaced by a reload
	log         *slog.Logger
	registry    registry
	level       *slog.LevelVar
	data        *datadir.Dir
	admin       *admin.Server
	library     *recordings.Library
	audit       *audit.File
	hooks       *hooks
	feed        *control.Feed
	host        *conference.Host
	doors       []conference.Door
	jami        *jami.Door // one of the doors, or nil
	open        []conference.Door
	closeSocket func()         // of the command line; nil: it was not opened
	web         *web.Door      // one of the doors, or nil
	links       *links.Book    // that let people in; nil without the web door
	syncing     sync.WaitGroup // of the Jami door after changes of rooms

	certificates *certificates
	tracer       *tracing.Tracer // of calls' set-ups; nil: nothing is traced
	overload     *overload.Control
	stopWatching func()         // how busy the host is; nil: it has not begun
	watching     sync.WaitGroup // that
	board        board
}

// registry is where the parts register their metrics.
type registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// auditSize is how large the file of orders grows before it is put aside, bytes.
const auditSize = 64 << 20

// build makes all parts; nothing is reachable yet. On an error what was made is closed.
func build(cfg *config.Config, log *slog.Logger, level *slog.LevelVar) (*house, error) {
	h := &house{log: log, level: level, registry: prometheus.NewRegistry()}
	h.cfg.Store(cfg)
	if err := h.buildAll(cfg); err != nil {
		h.dismantle()
		return nil, err
	}
	return h, nil
}

func (h *house) buildAll(cfg *config.Config) (err error) {
	log := h.log
	if h.data, err = datadir.Open(cfg.Data); err != nil {
		return err
	}
	if err := atomicfile.Tidy(h.data.Path(".")); err != nil {
		log.Warn("what a crash has left behind cannot be removed", "error", err)
	}
	reg := h.registry
	reg.MustRegister(buildInfo(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rendezvous_degraded", Help: "Parts of the host that do not work; /healthz lists them."},
			func() float64 { return float64(len(h.degraded())) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rendezvous_audit_lost_total", Help: "Orders that could not be written to the audit file."},
			func() float64 { return float64(h.audit.Lost()) }))
	h.admin = &admin.Server{Listen: cfg.Admin.Listen, Log: log, Gatherer: reg, Degraded: h.degraded, Names: publicNames(cfg)}

	if cfg.Telemetry.Endpoint != "" {
		if h.tracer, err = tracing.New(tracing.Config{Endpoint: cfg.Telemetry.Endpoint, Version: currentVersion(), Log: log.With("part", "telemetry")}); err != nil {
			return err
		}
	}
	keys, err := recordingKeys(cfg)
	if err != nil {
		return err
	}
	h.library = recordings.Open(recordings.Config{
		Log: log.With("part", "recordings"), Metrics: recordings.NewMetrics(reg),
		Dir: h.data.Path(cfg.Recordings.Dir), Mark: h.data.Path("recordings.mark"), Keys: keys, Fragment: cfg.Recordings.Fragment, Retention: retention(cfg),
	})
	if h.audit, err = audit.OpenFile(h.data.Path("audit.jsonl"), auditSize, log); err != nil {
		return err
	}
	mixing, err := mixerConfig(cfg)
	if err != nil {
		return err
	}
	mixing.Metrics = mixer.NewMetrics(reg)
	h.overload = overload.New(overload.Config{Log: log, Registerer: reg, Changed: func(l overload.Level) { h.host.TellOverload(l.Text()) }})
	mixing.Overload = h.overload
	h.host, err = conference.NewHost(conference.Config{
		Admits:  h.overload.Admits,
		Speaker: speaker(cfg, log),
		Events:  h.events(cfg, reg),
		Kept:    h.kept,
		Log:     log, Metrics: conference.NewMetrics(reg), Mixer: mixing,
		Rooms: declared(cfg), Aliases: aliases(cfg), MaxParticipants: cfg.MaxParticipants,
		Store: store.New(h.data.Path("."), h.log), RoomsChanged: h.roomsChanged, Audit: h.audit,
		Recorder: &recorder{
			library: h.library, best: mixing.Rungs[0],
			tracks: func(room string) bool { return h.room(room).RecordTracks },
		},
	})
	if err != nil {
		return err
	}
	reg.MustRegister(conference.NewCosts(h.host))
	return h.buildDoors(cfg, reg, mixing.Metrics)
}

func (h *house) buildDoors(cfg *config.Config, reg registry, metrics *mixer.Metrics) error {
	if err := h.openCertificates(cfg, reg); err != nil {
		return err
	}
	if cfg.Web.Enabled {
		c, err := webConfig(cfg)
		if err != nil {
			return err
		}
		c.Log, c.Host, c.LegMetrics, c.Registerer, c.Tracer = h.log, h.host, metrics.Leg, reg, h.tracer
		h.certificates.web(&c)
		c.Recordings = catalogue{h.library}
		if cfg.Jami.Enabled {
			c.Contacts = contacts{h}
		}
		if len(c.JoinSecret) == 0 {
			if c.JoinSecret, err = joinSecret(h.data.Path("join-secret")); err != nil {
				return err
			}
		}
		if h.links, err = links.Open(h.data.Path("links.json")); err != nil {
			return err
		}
		c.Links, c.Events = h.links, h.feed
		door, err := web.New(c)
		if err != nil {
			return err
		}
		door.SetAddresses(h.addresses)
		h.web = door
		h.doors = append(h.doors, door)
	}
	if cfg.SIP.Enabled {
		c, err := sipConfig(cfg)
		if err != nil {
			return err
		}
		c.Log, c.Host, c.LegMetrics, c.Registerer, c.Tracer = h.log, h.host, metrics.Leg, reg, h.tracer
		h.certificates.sip(&c)
		if c.DataDir, err = h.data.Make("sip"); err != nil {
			return err
		}
		door, err := sip.New(c)
		if err != nil {
			return err
		}
		h.doors = append(h.doors, door)
	}
	if cfg.Jami.Enabled {
		c := h.jamiConfig(cfg)
		c.Log, c.Host, c.LegMetrics, c.Metrics, c.Tracer = h.log, h.host, metrics.Leg, reg, h.tracer
		c.OpenFile, c.Opened = h.library.OpenKey, h.meetLater
		var err error
		if c.Dir, err = h.data.Make("jami"); err != nil {
			return err
		}
		door, err := jami.New(c)
		if err != nil {
			return err
		}
		h.jami = door
		h.doors = append(h.doors, door)
	}
	if len(h.doors) == 0 {
		return errors.New("web, sip and jami are all switched off: nobody can come in")
	}
	return nil
}

// events tells the webhooks, who listens by the control API, and the rooms' logs what happens in the rooms.
func (h *house) events(cfg *config.Config, reg prometheus.Registerer) func(conference.Event) {
	h.hooks = newHooks(h.log, reg)
	h.hooks.set(cfg.Webhooks)
	h.feed = control.NewFeed(reg)
	return func(e conference.Event) {
		if err := h.feed.Add(e); err != nil {
			h.log.Error("an event is not told", "error", err)
		}
		h.hooks.post(string(e.Kind), e)
		if h.jami != nil { // the doors are made before anybody can be in a room
			h.jami.Event(e)
		}
	}
}

// kept waits for the rooms' logs.
func (h *house) kept(room string) {
	if h.jami != nil {
		h.jami.Kept(room)
	}
}

// speaker says announcements; nil where nobody can.
func speaker(cfg *config.Config, log *slog.Logger) conference.Speaker {
	if cfg.Media.Voice == "" {
		return nil
	}
	e, err := speech.New(cfg.Media.Voice)
	if err != nil {
		log.Warn("announcements are only shown", "error", err)
		return nil
	}
	return e
}

// start opens the operators' port, then the doors.
func (h *house) start(ctx context.Context) error {
	if err := h.admin.Start(ctx); err != nil {
		h.admin = nil
		return err
	}
	watching, stop := context.WithCancel(context.Background())
	h.stopWatching = stop
	h.watching.Go(func() { h.overload.Watch(watching, h.host.Participants) })
	for _, d := range h.doors {
		if err := d.Start(ctx); err != nil {
			return err
		}
		h.open = append(h.open, d)
	}
	h.certificates.start()
	if h.jami != nil {
		h.library.ArchiveTo(archive{h.jami, h.library})
	}
	return nil
}

// dismantle ends everything that was built, in reverse order. It puts out whoever is
// still there and finishes recordings.
func (h *house) dismantle() {
	report := func(what string, err error) {
		if err != nil {
			h.log.Error("closing", "what", what, "error", err)
		}
	}
	if h.stopWatching != nil {
		h.stopWatching()
		h.watching.Wait()
	}
	h.certificates.close()
	if h.host != nil {
		h.host.Close() // with the doors open, so that callers are told
	}
	if h.closeSocket != nil {
		h.closeSocket()
	}
	for _, d := range h.open {
		report(d.Name(), d.Close())
	}
	if h.library != nil {
		report("recordings", h.library.Close())
	}
	if h.hooks != nil {
		h.hooks.close(min(h.cfg.Load().Drain/3, hooksFlush))
	}
	report("telemetry", h.closeTracer())
	if h.audit != nil {
		report("audit", h.audit.Close())
	}
	if h.admin != nil && h.admin.Addr() != nil {
		report("admin", h.admin.Close())
	}
	if h.data != nil {
		report("data folder", h.data.Close())
	}
}

// tracerFlush is how long the end waits at most for traces to be delivered.
const tracerFlush = 2 * time.Second

func (h *house) closeTracer() error {
	ctx, cancel := context.WithTimeout(context.Background(), tracerFlush)
	defer cancel()
	return h.tracer.Close(ctx)
}

// addresses are where people meet a room, by all doors, and will meet it before long.
func (h *house) addresses(room string) (out []conference.Address) {
	for _, d := range h.doors {
		for _, a := range d.Addresses(room) {
			out = append(out, conference.Address{Door: d.Name(), Text: a})
		}
		if d, ok := d.(interface {
			Telephones(room string) []conference.Address
		}); ok {
			out = append(out, d.Telephones(room)...)
		}
	}
	if h.jami != nil && h.jami.BeingMade(room) {
		out = append(out, conference.Address{Door: h.jami.Name(), Pending: true})
	}
	return out
}

// degraded are the parts of the host that do not work, a line each.
func (h *house) degraded() (lines []string) {
	if err := h.audit.Failure(); err != nil {
		lines = append(lines, err.Error())
	}
	lines = append(lines, h.library.Degraded()...)
	lines = append(lines, h.certificates.degraded()...)
	if h.jami != nil {
		degraded := h.jami.Degraded()
		for _, room := range slices.Sorted(maps.Keys(degraded)) {
			lines = append(lines, "room "+room+": "+degraded[room])
		}
	}
	return lines
}
