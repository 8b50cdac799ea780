#!/bin/bash
# lab.sh - an isolated network of unmodified Jami daemons, driven by script.
#
#   lab.sh up N            bridge, dhtnode, N peers (p1..pN) and an empty namespace "app"
#   lab.sh add             one more peer
#   lab.sh down            stop everything that up/add started, remove its namespaces and run dir
#   lab.sh status          what runs; exit 0 if everything recorded is alive
#   lab.sh run             print the run directory
#   lab.sh exec NS CMD...  run CMD in namespace NS (sw, dht, app, p1...)
#   lab.sh stop PEER | start PEER | crash PEER     SIGTERM / start / SIGKILL one peer's jamid
#   lab.sh stoprole dht | startdht     the DHT node
#   lab.sh link NS up|down take one namespace's cable out or put it back
#   lab.sh pcap start FILE [FILTER] | pcap stop      tcpdump on the bridge (sees all traffic)
#   lab.sh ip NS           address of a namespace
#   lab.sh keep PEER ID    keep a copy of the peer's account for later labs (JAMILAB_ACCOUNTS)
#   lab.sh guard PID SECONDS    wait until process PID is gone or the time is over, then "down"
#
# Environment:
#   JAMILAB_NAME   name of this lab (default: empty); several labs can live side by side
#   JAMILAB_RUN    run directory (default: a new mktemp directory, remembered by name)
#   JAMILAB_KEEP=1 "down" keeps the run directory
#   JAMILAB_SIPLOG pjsip log level 0..6 (default 5: whole SIP messages in the peers' logs)
#   JAMILAB_PULSE=0  no PulseAudio per peer (the peer then has a silent null device)
#   JAMILAB_AUDIO=stock  leave the daemon's webrtc noise suppression, echo cancelling and
#                  voice detection on (default "clean": off, so that a tone arrives as sent)
#   JAMILAB_ACCOUNTS  folder of accounts kept by earlier labs: a peer that has one there begins with it.
#                  Making one costs a daemon 5 to 7 s of CPU; starting with one, 0.1 s
#   JAMILAB_BARE   the peers that begin without one all the same: "p1 p3"
#   JAMILAB_MIX    size of the pictures of conferences that the daemons host, WIDTHxHEIGHT; not with "stock"
#   JAMILAB_JAMID  daemon to start (default: the first of the usual libexec places)
#   JAMILAB_IPV6=1  IPv6 addresses beside those of IPv4; for newer daemons, see mkns
set -u
ulimit -c 0
NAME=${JAMILAB_NAME:-}
case "$NAME" in *[!a-z0-9]*) echo "JAMILAB_NAME: only a-z0-9" >&2; exit 2;; esac
[ ${#NAME} -le 8 ] || { echo "JAMILAB_NAME: 8 characters at most" >&2; exit 2; }
PFX="jlab$NAME-"
NET=10.77.0
REMEMBER=/run/jamilab/run$NAME
SIPLOG=${JAMILAB_SIPLOG:-5}
ACCOUNTS=${JAMILAB_ACCOUNTS:-}
PULSE=${JAMILAB_PULSE:-1}
IPV6=${JAMILAB_IPV6:-}
NET6=fd77

die(){ echo "lab.sh: $*" >&2; exit 1; }
faulty(){ echo "lab.sh: $*" >&2; exit 3; } # a daemon's fault, before anybody has used it
[ "$(id -u)" = 0 ] || die "needs root (network namespaces)"

find_run(){
  if [ -n "${JAMILAB_RUN:-}" ]; then R=$JAMILAB_RUN
  elif [ -L "$REMEMBER" ]; then R=$(readlink "$REMEMBER")
  else R=; fi
}
find_jamid(){
  local j
  for j in "${JAMILAB_JAMID:-}" /usr/libexec/jamid /usr/lib/ring/jamid /usr/bin/jamid; do
    [ -n "$j" ] && [ -x "$j" ] && { JAMID=$j; return; }
  done
  die "no jamid; apt-get install jami-daemon"
}
kept(){ # PEER : where the account is kept that this daemon made for a peer of this name
  find_jamid; echo "$ACCOUNTS/$(stat -Lc %s-%Y "$JAMID")/$1"; }
in_ns(){ local ns=$1; shift; ip netns exec "$PFX$ns" "$@"; }

# ---- processes: "pid starttime" in $R/pids/ROLE; a pid is only ever signalled if both match
stime(){ # field 22 of /proc/PID/stat; the command name may hold blanks
  local s; s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  s=${s##*) }; set -- $s; echo "${20}"; }
record(){ echo "$2 $(stime "$2")" >"$R/pids/$1"; }
alive(){ # ROLE -> prints pid
  local p t; [ -f "$R/pids/$1" ] || return 1
  read -r p t <"$R/pids/$1" || return 1
  [ -n "$t" ] && [ "$(stime "$p")" = "$t" ] || return 1
  # a zombie is not alive
  case "$(sed 's/.*) //' /proc/$p/stat 2>/dev/null)" in Z*) return 1;; esac
  echo "$p"; }
stop_role(){ # ROLE [SIG] [seconds]
  local p i sig=${2:-TERM} n=$(( ${3:-5} * 10 ))
  p=$(alive "$1") || { rm -f "$R/pids/$1"; return 0; }
  kill -"$sig" "$p" 2>/dev/null
  for ((i=0;i<n;i++)); do alive "$1" >/dev/null || break; sleep 0.1; done
  if alive "$1" >/dev/null; then kill -KILL "$p" 2>/dev/null; sleep 0.2; fi
  rm -f "$R/pids/$1"; }
spawn(){ # ROLE LOG CMD... : in the background, own session, no stdin, pid recorded
  local role=$1 log=$2; shift 2
  setsid "$@" >>"$log" 2>&1 </dev/null &
  record "$role" $!
  disown $! 2>/dev/null; }

# ---- namespaces
mkns(){ # NS : namespace with IPv6 off, unless it is wanted, and no way to a name server
  ip netns add "$PFX$1" || die "namespace $PFX$1 exists (another lab? lab.sh down)"
  mkdir -p "/etc/netns/$PFX$1"
  printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"/etc/netns/$PFX$1/resolv.conf"
  printf '127.0.0.1 localhost\n' >"/etc/netns/$PFX$1/hosts"
  # before any address is assigned: this jamid hangs in ICE creation when the
  # kernel lists IPv6 addresses (its netlink reader waits for a message that
  # newer kernels put into the datagram before)
  [ "$IPV6" = 1 ] || in_ns "$1" sh -c 'for i in all default; do f=/proc/sys/net/ipv6/conf/$i/disable_ipv6; [ -e $f ] && echo 1 >$f; done; true'
  in_ns "$1" ip link set lo up; }
plug(){ # NS ADDR : cable from NS's eth0 to the bridge
  ip -n "${PFX}sw" link add "v-$1" type veth peer name eth0 netns "$PFX$1" || die "veth $1"
  ip -n "${PFX}sw" link set "v-$1" master br0 up
  ip -n "$PFX$1" addr add "$NET.$2/24" dev eth0
  ip -n "$PFX$1" link set eth0 up
  [ "$IPV6" = 1 ] && ip -n "$PFX$1" addr add "$NET6::$2/64" dev eth0 nodad
  ip -n "$PFX$1" route add default via "$NET.1"
  echo "$NET.$2" >"$R/ip/$1"; }

start_dht(){ spawn dht "$R/dht.log" ip netns exec "${PFX}dht" dhtnode -p 4222 -s -v; }
start_dbus(){ # PEER
  local H=$R/$1
  rm -f "$H/bus"
  cat >"$H/dbus.conf" <<X
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=$H/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
<limit name="max_message_size">100000000</limit><limit name="reply_timeout">120000</limit></busconfig>
X
  spawn "$1.dbus" "$H/dbus.log" ip netns exec "$PFX$1" dbus-daemon --config-file="$H/dbus.conf" --nofork --nopidfile --nosyslog
  for _ in $(seq 50); do [ -S "$H/bus" ] && return 0; sleep 0.1; done
  die "dbus of $1 does not start: $(tail -3 "$H/dbus.log")"; }
peer_env(){ # PEER -> array ENVV
  local H=$R/$1
  ENVV=(HOME="$H/home" XDG_RUNTIME_DIR="$H/run" XDG_CONFIG_HOME="$H/home/.config"
    XDG_DATA_HOME="$H/home/.local/share" XDG_CACHE_HOME="$H/home/.cache" XDG_VIDEOS_DIR="$H/home"
    DBUS_SESSION_BUS_ADDRESS="unix:path=$H/bus" PULSE_SERVER="unix:$H/run/pulse.sock"
    SIPLOGLEVEL="$SIPLOG" NO_COLOR=1 PATH="$PATH" LANG=C.UTF-8 TMPDIR="$H/tmp"); }
start_pulse(){ # PEER : sink "spk" = what the client plays; sink "mic" feeds the client's microphone
  local H=$R/$1
  [ "$PULSE" = 1 ] && command -v pulseaudio >/dev/null || return 0
  cat >"$H/pulse.pa" <<X
load-module module-native-protocol-unix socket=$H/run/pulse.sock auth-anonymous=1
load-module module-null-sink sink_name=spk rate=48000 channels=2 sink_properties=device.description=spk
load-module module-null-sink sink_name=mic rate=48000 channels=1 sink_properties=device.description=mic
load-module module-remap-source master=mic.monitor source_name=micin source_properties=device.description=micin
set-default-sink spk
set-default-source micin
X
  peer_env "$1"
  spawn "$1.pulse" "$H/pulse.log" ip netns exec "$PFX$1" nice -n -11 env -i "${ENVV[@]}" pulseaudio -n --daemonize=no --use-pid-file=no \
    --exit-idle-time=-1 --disable-shm=yes --realtime=no --high-priority=no --log-target=stderr --log-level=notice -F "$H/pulse.pa"
  for _ in $(seq 50); do [ -S "$H/run/pulse.sock" ] && return 0; sleep 0.1; done
  echo "lab.sh: pulseaudio of $1 does not start, audio stays silent: $(tail -2 "$H/pulse.log")" >&2; }
# A peer stands for a machine of its own, whose sound does not wait for browsers on this one: PulseAudio has that niceness by default.
start_jamid(){ # PEER
  local H=$R/$1
  find_jamid; peer_env "$1"
  spawn "$1.jamid" "$H/log" ip netns exec "$PFX$1" nice -n -5 env -i -C "$H" "${ENVV[@]}" "$JAMID" -d -c -p
  for _ in $(seq 100); do
    DBUS_SESSION_BUS_ADDRESS="unix:path=$H/bus" dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
      org.freedesktop.DBus.NameHasOwner string:cx.ring.Ring 2>/dev/null | grep -q 'boolean true' && return 0
    alive "$1.jamid" >/dev/null || faulty "jamid of $1 ended: $(tail -3 "$H/log")"
    sleep 0.1
  done
  faulty "jamid of $1 does not come up on its bus"; }
mkpeer(){ # index
  local p=p$1 H=$R/p$1 A
  mkdir -p "$H/home" "$H/run" "$H/tmp"; chmod 700 "$H/run"
  # without PulseAudio: a null ALSA device, so that there is one (it gives silence)
  printf 'pcm.!default { type null }\nctl.!default { type null }\n' >"$H/home/.asoundrc"
  if [ "${JAMILAB_AUDIO:-clean}" != stock ]; then
    mkdir -p "$H/home/.config/jami"
    cat >"$H/home/.config/jami/dring.yml" <<X
accounts:
  []
preferences: {historyLimit: 0, ringingTimeout: 30, historyMaxCalls: 20, md5Hash: false, order: "",
  portNum: 5060, searchBarDisplay: true, zoneToneChoice: North America}
voipPreferences: {playDtmf: false, playTones: true, pulseLength: 250}
audio:
  alsa: {cardIn: 0, cardOut: 0, cardRing: 0, plugin: default, smplRate: 44100}
  alwaysRecording: false
  audioApi: pulseaudio
  captureMuted: false
  playbackMuted: false
  pulse: {devicePlayback: "", deviceRecord: "", deviceRingtone: ""}
  portaudio: {devicePlayback: "", deviceRecord: "", deviceRingtone: ""}
  recordPath: ""
  volumeMic: 1
  volumeSpkr: 1
  audioProcessor: "null"
  automaticGainControl: false
  voiceActivityDetection: false
  noiseReduce: "off"
  echoCancel: "off"
X
    [ -z "${JAMILAB_MIX:-}" ] || printf 'video:\n  conferenceResolution: %s\n' "$JAMILAB_MIX" >>"$H/home/.config/jami/dring.yml"
  fi
  A=$(kept "$p")
  # Copied files are new: the daemon takes Diffie-Hellman parameters for three days only.
  if [ -n "$ACCOUNTS" ] && [ -d "$A" ]; then
    case " ${JAMILAB_BARE:-} " in *" $p "*) ;; *) cp -r "$A/." "$H/home/";; esac
  fi
  mkns "$p"; plug "$p" $((10+$1))
  start_dbus "$p"; start_pulse "$p"; start_jamid "$p"
  echo "$p" >>"$R/peers"; }

case "${1:-}" in
up)
  N=${2:-2}; case "$N" in ''|*[!0-9]*) die "up N";; esac; [ "$N" -le 40 ] || die "40 peers at most"
  find_run
  if [ -n "$R" ] && [ -d "$R/pids" ]; then die "already up in $R (lab.sh down first)"; fi
  ip netns list | grep -q "^${PFX}sw\b" && die "namespaces ${PFX}* exist already (lab.sh down)"
  for c in ip dbus-daemon dhtnode dbus-send; do command -v $c >/dev/null || die "$c is missing"; done
  find_jamid
  if [ -n "${JAMILAB_RUN:-}" ]; then
    R=$JAMILAB_RUN; mkdir -p "$R" # "down" removes it with all in it
    [ -z "$(ls -A "$R")" ] || die "$R is not empty"
  else R=$(mktemp -d -t "jamilab$NAME.XXXXXX"); fi
  R=$(cd "$R" && pwd); chmod 700 "$R"; mkdir -p /run/jamilab; ln -sfn "$R" "$REMEMBER"
  mkdir -p "$R/pids" "$R/ip"; : >"$R/peers"; echo "$PFX" >"$R/prefix"
  mkns sw
  ip -n "${PFX}sw" link add br0 type bridge; ip -n "${PFX}sw" link set br0 up
  ip -n "${PFX}sw" addr add "$NET.1/24" dev br0; echo "$NET.1" >"$R/ip/sw"
  mkns dht; plug dht 2
  start_dht
  mkns app; plug app 3
  for ((i=1;i<=N;i++)); do mkpeer $i; done
  echo "$R";;
add)
  find_run; [ -n "$R" ] && [ -d "$R/pids" ] || die "no lab is up"
  mkpeer $(( $(wc -l <"$R/peers") + 1 )); tail -1 "$R/peers";;
down)
  find_run
  if [ -n "$R" ] && [ -d "$R/pids" ]; then
    for k in jamid pulse dbus ''; do
      for f in "$R"/pids/*${k:+.$k}; do [ -f "$f" ] || continue; p=$(alive "${f##*/}") && kill -TERM "$p" 2>/dev/null; done
      for f in "$R"/pids/*${k:+.$k}; do [ -f "$f" ] && stop_role "${f##*/}" TERM 4; done
    done
  fi
  for ns in $(ip netns list | awk '{print $1}' | grep "^$PFX"); do
    ip netns del "$ns"; rm -f "/etc/netns/$ns/resolv.conf" "/etc/netns/$ns/hosts"; rmdir "/etc/netns/$ns" 2>/dev/null
  done
  rmdir /etc/netns 2>/dev/null
  rm -f "$REMEMBER"; rmdir /run/jamilab 2>/dev/null
  if [ -n "$R" ] && [ -f "$R/prefix" ]; then
    if [ -n "${JAMILAB_KEEP:-}" ]; then rm -rf "$R/pids"; echo "kept $R"; else rm -rf "$R"; fi
  fi
  true;;
status)
  find_run; [ -n "$R" ] && [ -d "$R/pids" ] || { echo "down"; exit 1; }
  rc=0; echo "run $R"
  for f in "$R"/pids/*; do
    r=${f##*/}; if p=$(alive "$r"); then echo "up   $r pid $p"; else echo "DEAD $r"; rc=1; fi
  done
  for f in "$R"/ip/*; do echo "ns   $PFX${f##*/} $(cat "$f")"; done
  exit $rc;;
run) find_run; [ -n "$R" ] && [ -d "$R/pids" ] || die "no lab is up"; echo "$R";;
ip) find_run; cat "$R/ip/$2";;
guard) # whoever used the lab may be killed: it must not stay behind
  t=$(stime "$2"); end=$((SECONDS + $3))
  while [ $SECONDS -lt $end ] && [ -n "$t" ] && [ "$(stime "$2")" = "$t" ]; do
    find_run; [ -d "$R/pids" ] || exit 0; sleep 1
  done
  exec "$0" down;;
exec) ns=$2; shift 2; exec ip netns exec "$PFX$ns" "$@";;
stop) find_run; stop_role "$2.jamid" TERM 10;;
stoprole) find_run; stop_role "$2" TERM 5;;
startdht) find_run; start_dht;;
crash) find_run; stop_role "$2.jamid" KILL 2;;
start) find_run; alive "$2.jamid" >/dev/null && exit 0; start_jamid "$2";;
keep)
  find_run; [ -n "$ACCOUNTS" ] || exit 0
  A=$(kept "$2"); [ -d "$A" ] && exit 0
  H=$R/$2/home; (umask 077; mkdir -p "${A%/*}"); T=$(mktemp -d "$A.XXXXXX") || exit 1
  files(){ (cd "$1" && find ".local/share/jami/$2" ".local/share/jami/certificates" ".cache/$2/dhParams" -type f -print0 2>/dev/null | sort -z); }
  sums(){ (cd "$1" && files . "$2" | xargs -0 sha256sum); }
  # Whole or not at all: the daemon may write as we read, another lab may keep its own at the same time.
  before=$(sums "$H" "$3")
  files "$H" "$3" | tar -cf - -C "$H" --null -T - | tar -xf - -C "$T"
  if [ -n "$before" ] && [ "$(sums "$T" "$3")" = "$before" ] && mv -T "$T" "$A" 2>/dev/null; then :; else rm -rf "$T"; fi;;
link) ip -n "${PFX}sw" link set "v-$2" "$3";;
pcap)
  find_run; [ -n "$R" ] || die "no lab is up"
  case "${2:-}" in
  start) F=$3; shift 3; alive pcap >/dev/null && die "a capture runs"
    spawn pcap "$R/pcap.log" ip netns exec "${PFX}sw" tcpdump -i br0 -U -s 0 -Z root -w "$F" "$@"
    for _ in $(seq 50); do grep -q 'listening on' "$R/pcap.log" 2>/dev/null && break; sleep 0.1; done;;
  stop) stop_role pcap INT 5;;
  *) die "pcap start FILE [FILTER] | pcap stop";; esac;;
*) sed -n '2,31s/^# \{0,1\}//p' "$0"; exit 2;;
esac
