package main

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rendezvous/internal/config"
	"rendezvous/internal/webhook"
)

// hooksFlush is how long the end, and the end of a webhook that a reload has taken out, waits at most for events to be
// delivered.
const hooksFlush = 3 * time.Second

// hooks are the programs that are told what happens in the rooms.
type hooks struct {
	log     *slog.Logger
	metrics *webhook.Metrics

	mu      sync.RWMutex    // guards what follows
	running map[string]hook // by name
	closing sync.WaitGroup  // of those that a reload has taken out
}

// hook is a running webhook, and what it was made of.
type hook struct {
	made   config.Webhook
	sender *webhook.Sender
}

func newHooks(log *slog.Logger, reg prometheus.Registerer) *hooks {
	return &hooks{log: log, metrics: webhook.NewMetrics(reg), running: map[string]hook{}}
}

// set makes the webhooks those that are wanted. What has not changed goes on with the events that it has yet to deliver;
// what has is given the time to deliver them to where they were to go.
func (h *hooks) set(wanted map[string]config.Webhook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, old := range h.running {
		if w, ok := wanted[name]; ok && reflect.DeepEqual(w, old.made) {
			continue
		}
		delete(h.running, name)
		h.closing.Go(func() { flush(old.sender, hooksFlush) })
	}
	for name, w := range wanted {
		if _, ok := h.running[name]; !ok {
			endpoint := webhook.Endpoint{URL: w.URL, Secret: string(w.Secret), Kinds: w.Events}
			h.running[name] = hook{w, webhook.Start(endpoint, h.log.With("webhook", name), h.metrics, nil)}
		}
	}
}

// post tells them all; it never waits for them.
func (h *hooks) post(kind string, event any) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, hook := range h.running {
		hook.sender.Post(kind, event)
	}
}

// close delivers what they have yet to be told, all at the same time, for so long at most.
func (h *hooks) close(limit time.Duration) {
	h.mu.Lock()
	for name, hook := range h.running {
		delete(h.running, name)
		h.closing.Go(func() { flush(hook.sender, limit) })
	}
	h.mu.Unlock()
	h.closing.Wait()
}

func flush(s *webhook.Sender, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s.Close(ctx)
}
