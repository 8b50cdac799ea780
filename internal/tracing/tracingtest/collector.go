// Package tracingtest is a collector of traces for tests. It understands them by OpenTelemetry's own definition of OTLP.
package tracingtest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Trace is what a collector was told of one call's set-up.
type Trace struct {
	Door, Kind, Room string
	Of               string   // the first packet: "audio", "video"; "": none came
	Error            string   // "": none
	Events           []string // beside the steps
	Steps            []string // in the order in which they ended
}

// Collector takes traces at URL until the test ends.
type Collector struct {
	URL string

	mu       sync.Mutex // guards what follows
	spans    []*otlp.Span
	resource map[string]string
}

// New starts one on a free port of loopback.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{resource: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("no OTLP: %s", r.Header.Get("Content-Type"))
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			return err
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &request); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.GetResourceSpans() {
		for _, a := range of.GetResource().GetAttributes() {
			c.resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				if s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
					return errors.New(s.GetName() + " ends before it begins")
				}
				c.spans = append(c.spans, s)
			}
		}
	}
	return nil
}

// Resource is what the traces are said to be of.
func (c *Collector) Resource() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resource
}

// Traces are those that have come, in the order in which they ended.
func (c *Collector) Traces() (out []Trace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, root := range c.spans {
		if len(root.GetParentSpanId()) > 0 {
			continue
		}
		t := Trace{Error: root.GetStatus().GetMessage()}
		for _, a := range root.GetAttributes() {
			switch value := a.GetValue().GetStringValue(); a.GetKey() {
			case "rendezvous.door":
				t.Door = value
			case "rendezvous.kind":
				t.Kind = value
			case "rendezvous.room":
				t.Room = value
			case "rendezvous.first_packet":
				t.Of = value
			}
		}
		for _, e := range root.GetEvents() {
			t.Events = append(t.Events, e.GetName())
		}
		for _, s := range c.spans {
			if string(s.GetParentSpanId()) == string(root.GetSpanId()) && string(s.GetTraceId()) == string(root.GetTraceId()) {
				t.Steps = append(t.Steps, s.GetName())
			}
		}
		out = append(out, t)
	}
	return out
}
