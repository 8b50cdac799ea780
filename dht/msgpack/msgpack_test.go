package msgpack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestAppendShortest(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{AppendUint(nil, 0), "00"},
		{AppendUint(nil, 127), "7f"},
		{AppendUint(nil, 128), "cc80"},
		{AppendUint(nil, 256), "cd0100"},
		{AppendUint(nil, 65536), "ce00010000"},
		{AppendUint(nil, 1<<32), "cf0000000100000000"},
		{AppendInt(nil, -1), "ff"},
		{AppendInt(nil, -33), "d0df"},
		{AppendInt(nil, -129), "d1ff7f"},
		{AppendInt(nil, math.MinInt16-1), "d2ffff7fff"},
		{AppendInt(nil, math.MinInt32-1), "d3ffffffff7fffffff"},
		{AppendString(nil, "id"), "a26964"},
		{AppendString(nil, strings.Repeat("x", 32))[:2], "d920"},
		{AppendString(nil, strings.Repeat("x", 256))[:3], "da0100"},
		{AppendBytes(nil, []byte{1, 2}), "c4020102"},
		{appendBytesHeader(nil, 256), "c50100"},
		{appendBytesHeader(nil, 65536), "c600010000"},
		{AppendMap(nil, 15), "8f"},
		{AppendMap(nil, 16), "de0010"},
		{AppendArray(nil, 65536), "dd00010000"},
		{AppendBool(AppendBool(nil, true), false), "c3c2"},
		{AppendNil(nil), "c0"},
	} {
		if hex.EncodeToString(c.got) != c.want {
			t.Errorf("got %x, want %s", c.got, c.want)
		}
	}
}

func TestReadAnyWidth(t *testing.T) {
	for text, want := range map[string]uint64{
		"05": 5, "cc05": 5, "cd0005": 5, "ce00000005": 5, "cf0000000000000005": 5,
		"d005": 5, "d10005": 5, "d200000005": 5, "d30000000000000005": 5,
	} {
		b, _ := hex.DecodeString(text)
		r := NewReader(b)
		if got := r.Uint(); got != want || r.Err() != nil || r.Len() != 0 {
			t.Errorf("%s: %d, %v", text, got, r.Err())
		}
	}
	for text, want := range map[string]int64{"ff": -1, "e0": -32, "d0df": -33, "d1ff7f": -129, "d2ffff7fff": -32769, "05": 5} {
		b, _ := hex.DecodeString(text)
		r := NewReader(b)
		if got := r.Int(); got != want || r.Err() != nil {
			t.Errorf("%s: %d, %v", text, got, r.Err())
		}
	}
}

func TestBlobForms(t *testing.T) {
	for _, text := range []string{"c403010203", "a3010203", "93010203"} {
		b, _ := hex.DecodeString(text)
		r := NewReader(b)
		if got := r.Blob(); !bytes.Equal(got, []byte{1, 2, 3}) || r.Err() != nil {
			t.Errorf("%s: %x, %v", text, got, r.Err())
		}
	}
}

// Counts far above what follows are refused before anything is allocated for them.
func TestHostileCounts(t *testing.T) {
	for _, text := range []string{"ddffffffff", "dfffffffff", "c6ffffffff00", "dbffffffff00", "dd0000000200", "df0000000100"} {
		b, _ := hex.DecodeString(text)
		allocs := testing.AllocsPerRun(10, func() {
			r := NewReader(b)
			r.Skip()
			if !errors.Is(r.Err(), ErrTruncated) {
				t.Errorf("%s: %v", text, r.Err())
			}
		})
		if allocs > 2 {
			t.Errorf("%s: %v allocations", text, allocs)
		}
	}
	deep := NewReader(bytes.Repeat([]byte{0x91}, 1000))
	if deep.Skip(); !errors.Is(deep.Err(), ErrTooDeep) {
		t.Errorf("1000 nested arrays: %v", deep.Err())
	}
}

func TestFirstErrorSticks(t *testing.T) {
	r := NewReader([]byte{0xc3, 0x05})
	if r.Uint(); !errors.Is(r.Err(), ErrType) {
		t.Fatalf("a bool read as a number: %v", r.Err())
	}
	first := r.Err()
	if r.Map() != 0 || r.Str() != "" || r.Bytes() != nil || r.Uint() != 0 || r.Raw() != nil || !errors.Is(r.Err(), first) {
		t.Errorf("after an error: %v", r.Err())
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{0x82, 0xa1, 'a', 0x01, 0xa1, 'b', 0xc4, 0x01, 0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		r := NewReader(p)
		for r.Err() == nil && r.Len() > 0 {
			before := r.Offset()
			raw := r.Raw()
			if r.Err() == nil && (r.Offset() <= before || len(raw) != r.Offset()-before) {
				t.Fatalf("read %d bytes, moved %d", len(raw), r.Offset()-before)
			}
		}
		r = NewReader(p)
		if n := r.Map(); n > len(p) {
			t.Fatalf("a map of %d in %d bytes", n, len(p))
		}
	})
}
