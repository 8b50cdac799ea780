package control

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rendezvous/conference"
	"rendezvous/mixer/leg"
	"rendezvous/moderation"
)

// A participant of whom everything is known is as the description says, down to their network; of whom nothing is
// known there is no figure.
func TestParticipantsNetwork(t *testing.T) {
	s := newSchemas(t)
	hand := time.Unix(1700000000, 0)
	known := leg.Quality{
		EstimateBPS: 700_000, QueueMS: 10, RoundTripMS: 20, LossDown: 0, LossUp: 1, Rung: 1, Width: 640, Height: 360, FPS: 30,
		BitrateBPS: 600_000, Reason: leg.ReasonBandwidth,
	}
	unknown := leg.Quality{QueueMS: -1, RoundTripMS: -1, LossDown: -1, LossUp: -1, Rung: -1, Reason: leg.ReasonSound}
	for want, p := range map[string]participant{
		`{"class":"fair","estimate":700000,"queue":10,"roundTrip":20,"lossDown":0,"lossUp":1,"rung":1,"width":640,"height":360,"fps":30,"bitrate":600000,"reason":"bandwidth"}`: {
			conference.Participant{
				ID: "p1", Name: "Ann", Door: "web", Address: "web", Connection: "WebRTC", Role: moderation.Speaker, Joined: hand, Waiting: true, Hand: &hand,
				Floor: true, Recording: true, Streams: []conference.Stream{{Label: "main"}}, Network: leg.ClassFair,
			}, NetworkOf(known, leg.ClassFair)},
		`{"reason":"sound only"}`: {conference.Participant{ID: "p2", Joined: hand, Role: moderation.Speaker, Streams: []conference.Stream{}}, NetworkOf(unknown, "")},
	} {
		b, err := json.Marshal(p)
		require.NoError(t, err)
		var v map[string]any
		require.NoError(t, json.Unmarshal(b, &v))
		s.check(t, b, "components", "schemas", "Participant")
		network, err := json.Marshal(p.Network)
		require.NoError(t, err)
		require.Equal(t, want, string(network))
		require.IsType(t, map[string]any{}, v["network"], "the figures, not the class alone")
	}
}
