// Package webhook posts events to other programs' HTTP endpoints, signed, in
// order, and tries again when they do not answer.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	queueLength = 1024 // events that wait for an endpoint that is slow or away
	attempts    = 6    // after which an event is given up
	firstDelay  = time.Second
	postTimeout = 10 * time.Second
	maxAnswer   = 64 << 10 // bytes of an answer that are read, to use the connection again
)

// Endpoint is where events are posted to.
type Endpoint struct {
	URL    string
	Secret string   // signs the posts
	Kinds  []string // of events; none: all
}

// Check reports what is wrong with an endpoint.
func (e Endpoint) Check() error {
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no http or https URL", e.URL)
	}
	if len(e.Secret) < 16 {
		return fmt.Errorf("the secret of %s wants at least 16 characters", u.Redacted())
	}
	return nil
}

// Metrics count deliveries.
type Metrics struct {
	posts   *prometheus.CounterVec // result
	dropped prometheus.Counter
}

// NewMetrics registers the metrics on reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		posts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "webhook", Name: "posts_total", Help: "Posts to webhooks, by how they ended."}, []string{"result"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "rendezvous", Subsystem: "webhook", Name: "dropped_total", Help: "Events that were given up, or forgotten because too many waited."}),
	}
	if reg != nil {
		reg.MustRegister(m.posts, m.dropped)
	}
	return m
}

// Sender posts events to one endpoint.
type Sender struct {
	endpoint Endpoint
	log      *slog.Logger
	metrics  *Metrics
	client   *http.Client

	mu     sync.Mutex // guards queue and closed
	queue  []event
	closed bool // nothing is added to the queue
	wake   chan struct{}

	cancel context.CancelFunc
	done   sync.WaitGroup
}

type event struct {
	id, kind string
	body     []byte
}

// Start begins to post. client may be nil; Close ends it.
func Start(e Endpoint, log *slog.Logger, m *Metrics, client *http.Client) *Sender {
	if client == nil {
		// A redirect would take the secret's signature elsewhere.
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	s := &Sender{endpoint: e, log: log, metrics: m, client: client, wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { s.run(ctx) })
	return s
}

// Post queues an event of a kind; it never waits. An event that cannot be written as JSON is a mistake of ours and logged.
func (s *Sender) Post(kind string, v any) {
	if len(s.endpoint.Kinds) > 0 && !slices.Contains(s.endpoint.Kinds, kind) {
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("webhook event", "kind", kind, "error", err)
		return
	}
	var id [12]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	s.mu.Lock()
	if len(s.queue) >= queueLength {
		s.queue = slices.Delete(s.queue, 0, 1)
		s.metrics.dropped.Inc()
	}
	if s.closed {
		s.metrics.dropped.Inc()
	} else {
		s.queue = append(s.queue, event{hex.EncodeToString(id[:]), kind, body})
	}
	s.mu.Unlock()
	s.look()
}

// look makes the sender look at the queue.
func (s *Sender) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close delivers what waits until ctx ends, gives up the rest, and waits for the post under
// way to end. It is called once.
func (s *Sender) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.look()
	stop := context.AfterFunc(ctx, s.cancel)
	s.done.Wait()
	stop()
	s.cancel()
	if left := len(s.queue); left > 0 {
		s.metrics.dropped.Add(float64(left))
		s.log.Warn("webhook events given up at the end", "events", left)
	}
	s.client.CloseIdleConnections()
}

func (s *Sender) run(ctx context.Context) {
	for ctx.Err() == nil {
		e, some, more := s.next()
		switch {
		case some:
			s.deliver(ctx, e)
		case !more:
			return
		default:
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
		}
	}
}

// next takes the oldest event, if there is some; more says whether others may come.
func (s *Sender) next() (e event, some, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return event{}, false, !s.closed
	}
	e = s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	return e, true, true
}

// deliver posts one event, again and again with growing pauses until it is taken.
func (s *Sender) deliver(ctx context.Context, e event) {
	delay := firstDelay
	for attempt := 1; ; attempt++ {
		again, err := s.post(ctx, e)
		if err == nil {
			s.metrics.posts.WithLabelValues("taken").Inc()
			return
		}
		if ctx.Err() != nil {
			s.metrics.dropped.Inc()
			s.log.Warn("webhook given up at the end", "kind", e.kind, "event", e.id, "attempts", attempt, "error", err)
			return
		}
		s.metrics.posts.WithLabelValues("failed").Inc()
		if !again || attempt == attempts {
			s.metrics.dropped.Inc()
			s.log.Warn("webhook given up", "kind", e.kind, "event", e.id, "attempts", attempt, "error", err)
			return
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done(): // the next attempt says so
		}
		delay *= 2
	}
}

// post makes one attempt; again says whether another may help.
func (s *Sender) post(ctx context.Context, e event) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint.URL, bytes.NewReader(e.body))
	if err != nil {
		return false, err
	}
	now := time.Now()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "rendezvous")
	r.Header.Set("X-Rendezvous-Event", e.kind)
	r.Header.Set("X-Rendezvous-Delivery", e.id)
	r.Header.Set("X-Rendezvous-Signature", Sign(s.endpoint.Secret, now, e.body))
	resp, err := s.client.Do(r)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // only so that the connection can be used again
	switch {
	case resp.StatusCode < 300:
		return false, nil
	case resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
		return true, fmt.Errorf("answered %s", resp.Status)
	}
	return false, fmt.Errorf("answered %s", resp.Status)
}

// Sign is the value of the X-Rendezvous-Signature header: "t=UNIX,v1=HEX", the HMAC-SHA256 of
// "UNIX.BODY" under the secret. A receiver computes the same and refuses old times.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
