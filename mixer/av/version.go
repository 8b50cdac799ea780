package av

// #include <libavutil/avutil.h>
import "C"

// Version is the version of FFmpeg that is linked: "5.1.6-0+deb12u1".
func Version() string { return C.GoString(C.av_version_info()) }
