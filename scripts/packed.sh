#!/bin/bash
# Packs the program for this release of Debian, has lintian, man and systemd-analyze look at what comes out, and installs it
# in a root of this release (scripts/root.sh), whose first process is systemd: the service starts, the command line finds it
# without a flag, and purging the package leaves the data.
#
#   scripts/packed.sh           the root has what the package depends on, and no network
#   scripts/packed.sh --fresh   the root has nothing, and apt fetches that
#
# make deb and make dist make the program anew, with other flags; here it is the one of the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
GOFLAGS=$(scripts/goflags.sh)
export GOFLAGS

began=$SECONDS
fresh=${1:-}
folder=$PWD/artifacts/packed

fail() {
  echo "scripts/packed.sh: $*" >&2
  exit 1
}

# Versions are in order: of commits before the first tag, of what comes before a release, and after it.
last=
for described in 1234abc v0.9.0 v0.9.0-3-g1234abc v0.9.0-12-g1234abc v1.0.0-rc.1 v1.0.0-rc.1-2-g1234abc v1.0.0; do
  version=$(scripts/version.sh "$described")
  [ -z "$last" ] || dpkg --compare-versions "$last" lt "$version" || fail "version $version ($described) is not above $last"
  last=$version
done

go build -ldflags "-X main.version=$(git describe --tags --always --dirty)" -o bin/packed ./cmd/rendezvous
deb=$(COMPRESSION="-Zgzip -z1" scripts/deb.sh bin/packed "$folder")

# What is shipped is position-independent (Makefile); compiling all for that takes minutes, and shows nothing more.
as_root=()
[ "$(id -u)" -ne 0 ] || as_root=(--allow-root)
lintian "${as_root[@]}" --fail-on error,warning --suppress-tags hardening-no-pie "$deb"

dpkg-deb -x "$deb" "$folder/root"
for page in "$folder"/root/usr/share/man/man*/*; do
  said=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null)
  [ -z "$said" ] || fail "$page: $said"
done
bash -n "$folder/root/usr/share/bash-completion/completions/rendezvous"

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
END

# The first process of the root, before it is systemd: of devices and control groups it has its own.
cat >"$folder/first.sh" <<'END'
set -eu
mount -t tmpfs -o mode=755 dev /dev
for device in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
	mknod -m 666 /dev/${device% *} c 1 ${device#* }
done
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cat >/etc/systemd/system/try.service <<UNIT
[Service]
ExecStart=/bin/bash -c '. $folder/install.sh; . $folder/inside.sh'
ExecStopPost=/bin/systemctl --no-block exit \$EXIT_STATUS
StandardOutput=append:$folder/said.txt
StandardError=append:$folder/said.txt
Environment=deb=$deb DEBIAN_FRONTEND=noninteractive $proxies
UNIT
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../try.service /etc/systemd/system/multi-user.target.wants/
export container=other
exec /lib/systemd/systemd --unit=multi-user.target
END
sed -i "2i export folder='$folder' deb='$deb'; proxies=\"\${http_proxy:+http_proxy=\$http_proxy} \${https_proxy:+https_proxy=\$https_proxy}\"" "$folder/first.sh"

if [ -n "$fresh" ]; then
  depends=(systemd)
  echo 'install() { apt-get -qq update && apt-get -qq -y --reinstall install "$1"; }' >"$folder/install.sh"
  network=()
else
  # Names alone: a package that is there in a wrong version is one that dpkg refuses.
  mapfile -t depends < <(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|].*//')
  echo 'install() { dpkg --install "$1"; }' >"$folder/install.sh"
  network=(--net)
fi
root=$(scripts/root.sh "$(. /etc/os-release && echo "$VERSION_CODENAME")" "${depends[@]}")

groups=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET) || fail "there is no control group file system (cgroup2)"
group=$groups/rendezvous-packed-$$
mkdir "$group"
trap 'find "$group" -depth -type d -exec rmdir {} + || true' EXIT
: >"$folder/said.txt"
code=0
timeout --kill-after=5 120 bash -c 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"' - "$group" \
  scripts/root.sh run "$root" --bind "$folder" -- unshare --cgroup "${network[@]}" bash "$folder/first.sh" >"$folder/systemd.txt" 2>&1 || code=$?
if [ "$code" -ne 0 ]; then
  cat "$folder/said.txt" >&2
  tail -n 20 "$folder/systemd.txt" >&2
  fail "the package does not do what it should (exit status $code)"
fi
echo "packed: $(basename "$deb") is installed, runs and is purged; after $((SECONDS - began)) s"
