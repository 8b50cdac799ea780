package av

import "testing"

// Levels by ITU-T H.264 table A-1, looked up by hand.
func TestH264LevelOfWhatIsEncoded(t *testing.T) {
	for _, c := range []struct {
		width, height, fps, bitrate int
		want                        byte
	}{
		{1920, 1080, 30, 4_000_000, 40},
		{1280, 720, 30, 1_800_000, 31},
		{640, 360, 30, 700_000, 30},
		{640, 360, 20, 700_000, 22},
		{320, 180, 30, 220_000, 13},
		{320, 180, 30, 900_000, 20},
		{320, 180, 15, 90_000, 12},
		{160, 90, 15, 60_000, 11},
	} {
		e, err := NewVideoEncoder(VideoEncoderConfig{Codec: "H264", Width: c.width, Height: c.height, FPS: c.fps, Bitrate: c.bitrate})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if got := encodedLevel(t, e, c.width, c.height, 0); got != c.want {
			t.Errorf("%dx%d, %d a second, %d bit/s: level %d, want %d", c.width, c.height, c.fps, c.bitrate, got, c.want)
		}
		if c.want != 13 {
			continue
		}
		e.SetBitrate(900_000) // more than level 1.3 allows
		if got := encodedLevel(t, e, c.width, c.height, 3000); got != 20 {
			t.Errorf("level %d at 900 kbit/s, want 20", got)
		}
	}
}

// TestH264LevelForWhatMayCome: who says how far the bitrate may rise has no key frame when it does.
func TestH264LevelForWhatMayCome(t *testing.T) {
	e, err := NewVideoEncoder(VideoEncoderConfig{Codec: "H264", Width: 320, Height: 180, FPS: 30, Bitrate: 220_000, MaxBitrate: 900_000})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := encodedLevel(t, e, 320, 180, 0); got != 20 {
		t.Errorf("level %d, want 20", got)
	}
	e.SetBitrate(900_000)
	if _, key, err := e.Encode(testPicture(320, 180, 1), 3000, false); key || err != nil {
		t.Errorf("key frame %v, %v", key, err)
	}
}

// encodedLevel is the level_idc in the sequence parameter set of the next picture.
func encodedLevel(t *testing.T, e *VideoEncoder, width, height int, pts uint32) byte {
	t.Helper()
	data, key, err := e.Encode(testPicture(width, height, 0), pts, false)
	if err != nil || !key {
		t.Fatalf("key frame %v, %v", key, err)
	}
	for nal := range NALUnits(data) {
		if nal[0]&0x1f == 7 {
			if nal[1] != 66 || nal[2]&0xc0 != 0xc0 {
				t.Errorf("profile %d, constraints %#x: not constrained baseline", nal[1], nal[2])
			}
			return nal[3]
		}
	}
	t.Fatal("no sequence parameter set")
	return 0
}
