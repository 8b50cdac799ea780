package portmap

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		b  []byte
		ok bool
	}{
		"mapping":     {[]byte{0, 0x82, 0, 0, 0, 0, 0, 1, 0x13, 0x88, 0x13, 0x89, 0, 0, 14, 16}, true},
		"refused":     {[]byte{0, 0x82, 0, 2, 0, 0, 0, 1}, false},
		"other op":    {[]byte{0, 0x81, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, false},
		"too short":   {[]byte{0, 0x82, 0, 0, 0, 0}, false},
		"empty":       {nil, false},
		"new version": {[]byte{2, 0x82, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, false},
	} {
		if _, err := checkAnswer(tc.b, opMapTCP, 16); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := mapRequest(5000, lease); !bytes.Equal(got, []byte{0, 2, 0, 0, 0x13, 0x88, 0x13, 0x88, 0, 0, 0x0e, 0x10}) {
		t.Errorf("% x", got)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 0x82, 0, 0, 0, 0, 0, 1, 0x13, 0x88, 0x13, 0x89, 0, 0, 14, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := checkAnswer(b, opMapTCP, 16); err == nil && len(a) < 16 {
			t.Fatal("short answer accepted")
		}
	})
}
