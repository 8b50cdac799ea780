// Package tracing tells an OpenTelemetry collector how calls are set up: a trace for each call, with a span for each step from
// the first message to the first packet of media (OTLP over HTTP, https://opentelemetry.io/docs/specs/otlp/). A door begins a Setup,
// names its steps, and ends it. A nil Tracer begins nil Setups, which do nothing and cost a comparison.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	queueLength = 2048             // spans that wait for a collector that is slow or away; more are dropped
	sendEvery   = 2 * time.Second  // or as soon as a quarter of the queue is full
	sendTimeout = 10 * time.Second // for what is sent at once
)

// Config says where to.
type Config struct {
	// Endpoint is the collector's URL, "http://127.0.0.1:4318". Without a path it is that of the specification, /v1/traces.
	Endpoint string
	Version  string // of the host
	Log      *slog.Logger
}

// Tracer begins traces, and sends them in the background. It never makes anybody wait.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdk.TracerProvider
}

// New makes a tracer, which Close ends. It fails for an endpoint that is no URL; whether anybody is there shows later, in the log.
func New(c Config) (*Tracer, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("tracing: %q is no web address such as http://127.0.0.1:4318", c.Endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithTimeout(sendTimeout), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(&telling{SpanExporter: exporter, log: c.Log}, sdk.WithMaxQueueSize(queueLength), sdk.WithMaxExportBatchSize(queueLength/4),
			sdk.WithBatchTimeout(sendEvery), sdk.WithExportTimeout(sendTimeout)),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "rendezvous"), attribute.String("service.version", c.Version))),
	)
	return &Tracer{provider.Tracer("rendezvous"), provider}, nil
}

// Flush sends what waits, until ctx ends.
func (t *Tracer) Flush(ctx context.Context) error { return t.provider.ForceFlush(ctx) }

// Close sends what waits, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	return nil
}

// telling is an exporter whose failures are logged, once until it is well again; OpenTelemetry's own log is a global one.
type telling struct {
	sdk.SpanExporter
	log    *slog.Logger
	failed bool // touched by the batch processor's goroutine alone, until it has ended
}

func (e *telling) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err == nil && e.failed:
		e.log.Info("traces are taken again")
	case err != nil && !e.failed:
		e.log.Warn("traces cannot be delivered, and are dropped", "error", err)
	}
	e.failed = err != nil
	return nil
}

// errOver is why a call's set-up ends that ends without a reason.
var errOver = errors.New("the call has ended")

// Setup is the trace of one call's set-up. All methods may be called from any goroutine, do not block, and do nothing once it is over.
type Setup struct {
	tracer trace.Tracer
	ctx    context.Context // with the span of it all

	mu    sync.Mutex // guards what follows
	span  trace.Span
	step  trace.Span
	name  string // of the step
	ready bool   // only the first packet is missing
	came  string // what it was of, if it came before: "audio", "video"
	over  bool
}

// Begin begins the set-up of a call through a door: "web", "sip", "jami". kind says what it is of: "page", "whip"; "in", "out". The first
// step is named; room may be empty.
func (t *Tracer) Begin(door, kind, room, step string) *Setup {
	if t == nil {
		return nil
	}
	s := &Setup{tracer: t.tracer, name: step}
	s.ctx, s.span = t.tracer.Start(context.Background(), "set up call", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("rendezvous.door", door), attribute.String("rendezvous.kind", kind)))
	if room != "" {
		s.span.SetAttributes(attribute.String("rendezvous.room", room))
	}
	_, s.step = s.tracer.Start(s.ctx, step)
	return s
}

// Log adds to a call's log by which trace it is found.
func (s *Setup) Log(log *slog.Logger) *slog.Logger {
	if s == nil {
		return log
	}
	return log.With("trace_id", s.span.SpanContext().TraceID().String())
}

// Step ends the step before and begins another one.
func (s *Setup) Step(name string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && !s.ready {
		s.next(name)
	}
}

// next is Step; s.mu is held.
func (s *Setup) next(name string) {
	s.step.End()
	s.name = name
	_, s.step = s.tracer.Start(s.ctx, name)
}

// Ready says that nothing is missing any more but the first packet from the caller, which may have come already.
func (s *Setup) Ready() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.ready {
		return
	}
	s.ready = true
	s.next("first packet")
	if s.came != "" {
		s.end()
	}
}

// Packet says that the first packet has come, and whether of "audio" or "video".
func (s *Setup) Packet(kind string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.came != "" {
		return
	}
	s.came = kind
	s.span.SetAttributes(attribute.String("rendezvous.first_packet", kind))
	if s.ready {
		s.end()
	} else {
		s.span.AddEvent("first packet")
	}
}

// Event notes what happens beside the steps.
func (s *Setup) Event(name string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.span.AddEvent(name)
	}
}

// Done ends the set-up of somebody who sends nothing.
func (s *Setup) Done() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.end()
	}
}

// End ends it with the call: as an error if it is not over by then and more than the first packet was missing. why may be nil.
func (s *Setup) End(why error) {
	if s == nil {
		return
	}
	if why == nil {
		why = errOver
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if s.ready {
		s.span.AddEvent("ended without a packet")
	} else {
		s.step.SetStatus(codes.Error, why.Error())
		s.span.SetStatus(codes.Error, s.name+": "+why.Error())
	}
	s.end()
}

// end ends both spans; s.mu is held.
func (s *Setup) end() {
	s.over = true
	s.step.End()
	s.span.End()
}
