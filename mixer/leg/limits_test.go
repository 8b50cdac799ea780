package leg

import (
	"testing"

	"rendezvous/mixer/ladder"
)

func TestAllowedRung(t *testing.T) {
	rungs := []ladder.Rung{ // the ladder's own, written out
		{Width: 1280, Height: 720, FPS: 30, Bitrate: 1_800_000},
		{Width: 640, Height: 360, FPS: 30, Bitrate: 700_000},
		{Width: 320, Height: 180, FPS: 30, Bitrate: 220_000},
		{Width: 320, Height: 180, FPS: 15, Bitrate: 90_000},
	}
	tests := []struct {
		codec, fmtp string
		bitrate     int
		want        int
	}{
		{"H264", "profile-level-id=42e01f;packetization-mode=1", 0, 0},
		{"H264", "packetization-mode=1", 0, 0},
		{"H264", "profile-level-id=42801F", 0, 0},
		{"H264", "profile-level-id=42e01e", 0, 1}, // 3
		{"H264", "packetization-mode=1; profile-level-id=42e016", 0, 2},
		{"H264", "profile-level-id=42e016;max-mbps=40500", 0, 1},
		{"H264", "profile-level-id=42e00d", 0, 2}, // 1.3
		{"H264", "profile-level-id=42e00c", 0, 3}, // 1.2
		{"H264", "profile-level-id=42f00b", 0, 3}, // 1b
		{"H264", "profile-level-id=42e0", 0, 0},
		{"H264", "profile-level-id=42e01f", 768_000, 1},
		{"H264", "", 64_000, 3},
		{"VP8", "", 0, 0},
		{"VP8", "max-fs=1200;max-fr=30", 0, 1},
		{"VP8", "max-fr=15", 0, 3},
	}
	for _, tt := range tests {
		if got := allowed(rungs, Codec{Name: tt.codec, Fmtp: tt.fmtp}, tt.bitrate); got != tt.want {
			t.Errorf("%s %q at %d bit/s: rung %d, want %d", tt.codec, tt.fmtp, tt.bitrate, got, tt.want)
		}
	}
	if got := allowed(nil, Codec{Name: "H264"}, 0); got != 0 {
		t.Errorf("no rungs: %d", got)
	}
}
