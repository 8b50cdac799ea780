package control

import (
	"rendezvous/conference"
	"rendezvous/mixer/leg"
)

// Network is leg.Quality as programs and pages are told it: what is not known is left out.
type Network struct {
	Class     leg.Class  `json:"class,omitempty"`
	Estimate  int        `json:"estimate,omitempty"`  // bit/s that the path towards them carries
	Queue     *int       `json:"queue,omitempty"`     // ms
	RoundTrip *int       `json:"roundTrip,omitempty"` // ms
	LossDown  *int       `json:"lossDown,omitempty"`  // percent, on the way to them
	LossUp    *int       `json:"lossUp,omitempty"`    // percent, on the way from them
	Rung      *int       `json:"rung,omitempty"`      // of the room's pictures, 0 is the best; not there: they are sent none
	Width     int        `json:"width,omitempty"`     // of that rung's
	Height    int        `json:"height,omitempty"`
	FPS       int        `json:"fps,omitempty"`
	Bitrate   int        `json:"bitrate,omitempty"` // bit/s of that rung
	Reason    leg.Reason `json:"reason,omitempty"`  // why it is not the best
}

// NetworkOf is a quality, and the class that it is shown as.
func NetworkOf(q leg.Quality, c leg.Class) Network {
	known := func(v int) *int {
		if v < 0 {
			return nil
		}
		return &v
	}
	return Network{
		Class: c, Estimate: q.EstimateBPS, Queue: known(q.QueueMS), RoundTrip: known(q.RoundTripMS), LossDown: known(q.LossDown),
		LossUp: known(q.LossUp), Rung: known(q.Rung), Width: q.Width, Height: q.Height, FPS: q.FPS, Bitrate: q.BitrateBPS, Reason: q.Reason,
	}
}

// participant is one with the figures of their network, in the place of its class alone.
type participant struct {
	conference.Participant
	Network Network `json:"network"`
}
