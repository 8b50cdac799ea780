package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rendezvous/conference"
	"rendezvous/internal/config"
	"rendezvous/internal/datadir"
	"rendezvous/internal/local"
	"rendezvous/internal/sdnotify"
)

func serveCommand() *cobra.Command {
	var s source
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the host",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			return serve(cmd, &s, cfg)
		},
	}
	s.add(cmd, hereFile)
	return cmd
}

// serve runs the host until it is told to stop.
func serve(cmd *cobra.Command, s *source, cfg *config.Config) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	level := &slog.LevelVar{}
	log := newLog(cmd.ErrOrStderr(), cfg.Log, level)
	h, err := build(cfg, log, level)
	if err != nil {
		return err
	}
	if h.closeSocket, err = h.openSocket(); err != nil {
		h.dismantle()
		return err
	}
	if err := h.start(cmd.Context()); err != nil {
		h.dismantle()
		return err
	}
	h.admin.SetReady(true)
	h.meet(cmd.OutOrStdout())
	h.tell(sdnotify.Ready)
	log.Info("host ready", "version", currentVersion(), "rooms", len(h.host.Rooms()))

	for sig := range signals {
		if sig != syscall.SIGHUP {
			break
		}
		h.reload(s)
	}
	h.stop(signals)
	return nil
}

// socketPause is how long after a failure it is tried again to open the socket of the command line.
const socketPause = 5 * time.Second

// openSocket opens the socket of the command line. On a disk that is full it has to wait until there is room; the host does not.
func (h *house) openSocket() (closeSocket func(), err error) {
	open := func() (*local.Server, error) { return local.Serve(h.data.Path(datadir.SocketName), h.routes()) }
	socket, err := open()
	if err == nil {
		return func() { socket.Close() }, nil
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return nil, err
	}
	h.log.Error("commands cannot ask the host yet", "error", err)
	ctx, cancel := context.WithCancel(context.Background())
	var opening sync.WaitGroup
	opening.Go(func() {
		for ctx.Err() == nil && err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(socketPause):
				socket, err = open()
			}
		}
	})
	return func() {
		cancel()
		opening.Wait()
		if socket != nil {
			socket.Close()
		}
	}, nil
}

func newLog(w io.Writer, cfg config.Log, level *slog.LevelVar) *slog.Logger {
	_ = level.UnmarshalText([]byte(cfg.Level)) // has been checked
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// tell informs systemd.
func (h *house) tell(state string) {
	if err := sdnotify.Send(state); err != nil {
		h.log.Warn("systemd", "error", err)
	}
}

// reload takes over what can be changed while calls go on.
func (h *house) reload(s *source) {
	now := h.cfg.Load()
	cfg, err := s.load()
	if mistakes, ok := errors.AsType[config.Mistakes](err); ok {
		for _, m := range mistakes {
			h.log.Error("configuration not reloaded", "error", m)
		}
		return
	}
	if err != nil {
		h.log.Error("configuration not reloaded", "error", err)
		return
	}
	changes := config.Diff(now, cfg)
	var live, later []config.Change
	for _, c := range changes {
		if c.Live {
			live = append(live, c)
		} else {
			later = append(later, c)
		}
	}
	merged := config.Live(now, cfg)
	keys, err := tokens(merged)
	if err != nil {
		h.log.Error("configuration not reloaded", "error", err)
		return
	}
	if err := h.host.Configure(declared(merged)); err != nil {
		h.log.Error("configuration not reloaded", "error", err)
		return
	}
	h.cfg.Store(merged)
	_ = h.level.UnmarshalText([]byte(merged.Log.Level)) // has been checked
	h.library.SetRetention(retention(merged))
	h.hooks.set(merged.Webhooks)
	if h.web != nil {
		h.web.SetTokens(keys)
	}
	if err := h.certificates.reload(); err != nil {
		h.log.Error("the certificate stays as it was", "error", err)
	}
	h.roomsChanged()
	h.log.Info("configuration reloaded", "changed", config.Names(live))
	if len(later) > 0 {
		h.log.Warn("some changes wait for a restart", "settings", config.Names(later))
	}
}

// stop drains the host: no new calls, callers told, recordings closed. A second signal, or the
// end of the configured time, puts out whoever is left.
func (h *house) stop(signals <-chan os.Signal) {
	limit := h.cfg.Load().Drain
	h.log.Info("stopping", "participants", h.host.Participants(), "within", limit)
	h.tell(sdnotify.Stopping)
	h.admin.SetReady(false)
	h.host.Drain("The host is about to stop.")
	// Some of the time is for finishing recordings and telling those who are left.
	ctx, cancel := context.WithTimeout(context.Background(), limit-min(limit/3, 5*time.Second))
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		var doors sync.WaitGroup
		for _, d := range h.open {
			doors.Go(func() { d.Drain(ctx) })
		}
		doors.Wait()
	}()
	for waiting := true; waiting; {
		select {
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				cancel()
			}
		case <-gone:
			waiting = false
		}
	}
	h.syncing.Wait()
	h.dismantle()
	h.log.Info("stopped")
}

var _ conference.Recorder = (*recorder)(nil)
