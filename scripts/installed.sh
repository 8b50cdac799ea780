#!/bin/bash
# Installs a package in a root of a Debian release (scripts/root.sh) whose first process is systemd, and looks: the service
# starts, the command line finds it without a flag, an upgrade changes nothing that people have changed, and purging the
# package leaves the data. Then, if there is one, the archive of make dist is installed instead.
#
#   scripts/installed.sh [--fresh|--root] SUITE PACKAGE [ARCHIVE]
#
# The root has what the package depends on, and no network; --root makes no more than the root. With --fresh it has nothing, and apt fetches that and
# what is recommended, over the network of the machine, whose ports are to be free for the service.
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
option=
if [[ "${1:-}" = --* ]]; then
  option=$1
  shift
fi
suite=$1 deb=$(realpath "$2") archive=${3:+$(realpath "$3")}
folder=$PWD/artifacts/installed-$suite
mkdir -p "$folder"
binds=(--bind "$folder" --bind "$deb")
[ -z "$archive" ] || binds+=(--bind "$archive")

fail() {
  echo "scripts/installed.sh: $*" >&2
  exit 1
}

# What happens in the root. It is told how to install the package.
cat >"$folder/inside.sh" <<'END'
set -eu
fail() { echo "$*"; journalctl -u rendezvous -n 40 --no-pager; exit 1; }
refused() { # words of the answer, command...
	words=$1 && shift
	! answer=$("$@" 2>&1) || fail "$* is allowed"
	case $answer in *"$words"*) ;; *) fail "$*: $answer" ;; esac
}

cd /
install "$deb"
systemctl is-active --quiet rendezvous || fail "the service does not run"
systemctl is-enabled --quiet rendezvous || fail "the service would not start with the machine"
[ "$(stat -c %U "/proc/$(systemctl show -P MainPID rendezvous)")" = rendezvous ] || fail "the service runs as somebody else"
[ "$(stat -c '%U:%G %a' /etc/rendezvous/config.yaml)" = "root:rendezvous 640" ] || fail "who may read the configuration?"
[ "$(stat -c '%U %a' /var/lib/rendezvous)" = "rendezvous 700" ] || fail "who may read the data?"
rendezvous rooms || fail "the command line does not find the host"
rendezvous check-config
runuser -u rendezvous -- rendezvous rooms >/dev/null
refused "try with sudo" runuser -u nobody -- rendezvous rooms
refused "try with sudo" runuser -u nobody -- rendezvous rooms --data /var/lib/rendezvous
exec 3<>/dev/tcp/localhost/8080 && printf 'GET /r/main HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
head -n 1 <&3 | grep ' 200 ' || fail "there is no page"
systemctl reload rendezvous

systemd-analyze verify --man=no rendezvous.service
systemd-analyze security --no-pager rendezvous | tail -n 1
for document in $(systemctl show -P Documentation rendezvous); do
	case $document in
	file:*) [ -e "${document#file:}" ] || fail "there is no $document" ;;
	man:*) [ -e "/usr/share/man/man1/rendezvous.1.gz" ] || fail "there is no $document" ;;
	esac
done

# The same once more is an upgrade.
before=$(systemctl show -P MainPID rendezvous)
chmod 600 /etc/rendezvous/config.yaml && chown rendezvous: /etc/rendezvous/config.yaml
install "$deb"
systemctl is-active --quiet rendezvous || fail "the service does not run after an upgrade"
[ "$(systemctl show -P MainPID rendezvous)" != "$before" ] || fail "the old program runs on after an upgrade"
[ "$(stat -c '%U %a' /etc/rendezvous/config.yaml)" = "rendezvous 600" ] || fail "an upgrade changes who may read the configuration"

echo keep >/etc/rendezvous/recordings.key
said=$(dpkg --purge rendezvous 2>&1)
case $said in *"stay in /var/lib/rendezvous"*) ;; *) fail "purge says nothing of the data: $said" ;; esac
! systemctl is-active --quiet rendezvous || fail "the service runs on without its package"
[ -e /var/lib/rendezvous/audit.jsonl ] || fail "purge has deleted data"
[ ! -e /etc/rendezvous/config.yaml ] && [ -e /etc/rendezvous/recordings.key ] || fail "purge has left the configuration, or deleted more"

# The archive, with the data that are there.
[ -n "$archive" ] || exit 0
mkdir /srv/archive
tar --extract --file "$archive" --directory /srv/archive --strip-components=1
/srv/archive/install.sh
hash -r # the program is in another place
systemctl enable --now --quiet rendezvous || fail "the service of the archive does not start"
rendezvous rooms >/dev/null || fail "the command line does not find the host of the archive"
[ "/proc/$(systemctl show -P MainPID rendezvous)/exe" -ef /usr/local/bin/rendezvous ] || fail "another program runs"
/srv/archive/install.sh >/dev/null
systemctl restart rendezvous
END

# The first process of the root, before it is systemd: of devices and control groups it has its own.
cat >"$folder/first.sh" <<'END'
set -eu
mount -t tmpfs -o mode=755 dev /dev
for device in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
	mknod -m 666 /dev/${device% *} c 1 ${device#* }
done
mknod -m 666 /dev/tty c 5 0
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cat >/etc/systemd/system/try.service <<UNIT
[Service]
ExecStart=/bin/bash -c '. $folder/install.sh; . $folder/inside.sh'
ExecStopPost=/bin/sh -c 'systemctl --no-block exit \$\$EXIT_STATUS || systemctl --no-block exit 99'
StandardOutput=append:$folder/said.txt
StandardError=append:$folder/said.txt
Environment=deb=$deb archive=$archive DEBIAN_FRONTEND=noninteractive $proxies
UNIT
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../try.service /etc/systemd/system/multi-user.target.wants/
export container=other
exec /lib/systemd/systemd --unit=multi-user.target
END
sed -i "2i export folder='$folder' deb='$deb' archive='$archive'; proxies=\"\${http_proxy:+http_proxy=\$http_proxy} \${https_proxy:+https_proxy=\$https_proxy}\"" "$folder/first.sh"

if [ "$option" = --fresh ]; then
  depends=(systemd)
  echo 'install() { apt-get -qq update && apt-get -qq -y --reinstall install "$1"; }' >"$folder/install.sh"
  network=() patience=900
else
  # Names alone: a package that is there in a wrong version is one that dpkg refuses.
  mapfile -t depends < <(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|].*//')
  echo 'install() { dpkg --install "$1"; }' >"$folder/install.sh"
  network=(--net) patience=120
fi
root=$(scripts/root.sh "$suite" "${depends[@]}")
[ "$option" != --root ] || exit 0

groups=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET) || fail "there is no control group file system (cgroup2)"
group=$groups/rendezvous-installed-$$
mkdir "$group"
trap 'find "$group" -depth -type d -exec rmdir {} + || true' EXIT
: >"$folder/said.txt"
code=0
timeout --kill-after=5 $patience bash -c 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"' - "$group" \
  scripts/root.sh run "$root" "${binds[@]}" -- unshare --cgroup "${network[@]}" bash "$folder/first.sh" >"$folder/systemd.txt" 2>&1 || code=$?
if [ "$code" -ne 0 ]; then
  cat "$folder/said.txt" >&2
  tail -n 20 "$folder/systemd.txt" >&2
  fail "the package does not do what it should (exit status $code)"
fi
echo "installed: $(basename "$deb") on $suite: starts, is found, upgraded and purged; after $((SECONDS - began)) s"
