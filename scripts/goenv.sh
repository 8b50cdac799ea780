# shellcheck shell=sh
# Tells go which FFmpeg this machine has, by GOFLAGS and CGO_CFLAGS. To be sourced where go.mod is:
#
#   . scripts/goenv.sh
#
# A release of go-astiav is made for one FFmpeg. go.mod has that of 5.1, Debian 12's, and needs nothing said; others have a
# module file of their own (scripts/modules.sh). Who has set -modfile keeps it.
codec=$(pkg-config --modversion libavcodec 2>/dev/null || true)
module='' constants=''
case "$codec" in
'' | 59.*) ;;
# FFmpeg 6, which no release is made for: Ubuntu 24.04. All that the one for 5.1 misses are constants without a meaning there.
60.*) constants='-DAV_CODEC_FLAG_TRUNCATED=0 -DAV_CODEC_FLAG2_DROP_FRAME_TIMECODE=0 -DAVFMT_FLAG_PRIV_OPT=0' ;;
61.*) module=go.ffmpeg7.mod ;; # Debian 13
62.*) module=go.ffmpeg8.mod ;; # Ubuntu 26.04
*)
  echo "scripts/goenv.sh: this machine has FFmpeg's libavcodec $codec, and 59 to 62 are known here (FFmpeg 5.1 to 8)" >&2
  unset codec module constants
  return 1
  ;;
esac
GOFLAGS=$(go env GOFLAGS)
case "$module $GOFLAGS" in
' '* | *-modfile=*) ;;
# Quoted, as go wants a path with spaces; whole, as tests run in folders of their own.
*) GOFLAGS="${GOFLAGS:+$GOFLAGS }'-modfile=$PWD/$module'" ;;
esac
CGO_CFLAGS=$(go env CGO_CFLAGS)
case "$constants $CGO_CFLAGS" in
' '* | *-DAVFMT_FLAG_PRIV_OPT=*' '*-DAVFMT_FLAG_PRIV_OPT=*) ;;
*) CGO_CFLAGS="$CGO_CFLAGS $constants" ;;
esac
export GOFLAGS CGO_CFLAGS
unset codec module constants
