package av

import (
	"reflect"
	"testing"

	"github.com/asticode/go-astiav"
)

// pointer.go reads the C pointer out of go-astiav's structs.
func TestAstiavLayout(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[astiav.CodecContext](),
		reflect.TypeFor[astiav.Packet](),
		reflect.TypeFor[astiav.FormatContext](),
	} {
		f := typ.Field(0)
		if f.Name != "c" || f.Type.Kind() != reflect.Pointer || f.Offset != 0 {
			t.Errorf("%v starts with field %s %v, not with its C pointer", typ, f.Name, f.Type)
		}
	}
}
