package av

import (
	"bytes"
	"testing"
)

// A stream that has its decoder keep many large pictures is refused; what cameras and browsers send is not.
func TestReferencesHaveABound(t *testing.T) {
	for _, test := range []struct {
		size, refs string
		want       bool
	}{{"1920x1080", "16", true}, {"4096x2304", "3", true}, {"4096x2304", "16", false}} {
		stream := []byte(run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s="+test.size+":r=30", "-frames:v", "3",
			"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "ref="+test.refs+":bframes=0:aud=1:log-level=-1", "-f", "h264", "-"))
		d, err := NewVideoDecoder("H264")
		if err != nil {
			t.Fatal(err)
		}
		pictures := 0
		for i, unit := range bytes.Split(stream, []byte{0, 0, 0, 1, 9})[1:] { // at the delimiters
			p, err := d.Decode(append([]byte{0, 0, 0, 1, 9}, unit...), uint32(i*3000))
			if p != nil {
				pictures++
				p.Release()
			}
			if (err == nil) != test.want {
				t.Errorf("%s with %s: frame %d: %v", test.size, test.refs, i, err)
			}
		}
		if (pictures == 3) != test.want {
			t.Errorf("%s with %s references: %d pictures", test.size, test.refs, pictures)
		}
		d.Close()
	}
}
