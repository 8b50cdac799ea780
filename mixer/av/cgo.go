package av

// #cgo pkg-config: libavcodec libavformat libavutil libswresample libswscale
// #cgo LDFLAGS: -lyuv
// #cgo CFLAGS: -O2 -Wall
import "C"

import (
	"sync"

	"github.com/asticode/go-astiav"
)

// quiet keeps FFmpeg from writing to standard error; what matters comes back as errors.
var quiet = sync.OnceFunc(func() { astiav.SetLogLevel(astiav.LogLevelQuiet) })
