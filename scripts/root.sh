#!/bin/bash
# Roots of Debian systems, so that one machine shows what happens on others:
#
#   scripts/root.sh SUITE [PACKAGE...]            makes the root of a Debian (bookworm, trixie, sid) with these packages,
#                                                 unless there is one, and prints its folder
#   scripts/root.sh run ROOT [OPTION...] COMMAND  runs a command inside, as root, and exits as it does
#     --bind PATH   the host's file or folder is at the same place inside (may be given more than once)
#     --keep        what is changed in the root stays; without it the next command finds it as it was
#
# A root without further packages has Debian's required ones, apt, and nothing else. Roots are kept in the user's cache
# (XDG_CACHE_HOME), one for each list of packages; who wants newer packages removes the folder. Packages come
# from where this machine's apt has its own; another distribution's from ROOT_MIRROR, signed by a key in ROOT_KEYRING, of
# ROOT_COMPONENTS (main).
#
# Inside there is the host's network, and nothing of its environment but proxies; the command's processes end with it.
set -euo pipefail

die() {
  echo "scripts/root.sh: $*" >&2
  exit 1
}

usage() {
  sed -n '4,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

[ $# -gt 0 ] || usage
# Neither sudo nor a user namespace would do: debootstrap makes device nodes, and files of many users.
[ "$(id -u)" -eq 0 ] || die "needs to be run as root, for debootstrap, mounts and chroot"

# What apt is told of proxies, programs that it does not know are told by variables.
for scheme in http https; do
  proxy=
  if command -v apt-config >/dev/null; then
    eval "$(apt-config shell proxy "Acquire::$scheme::Proxy")"
  fi
  variable=${scheme}_proxy
  if [ -n "$proxy" ] && [ -z "${!variable:-}" ]; then
    export "$variable=$proxy"
  fi
done

# mirror prints where this machine's apt has the packages of its own release.
mirror() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
    awk -v codename="$codename" '$1 == codename && $2 == "main" { print $3; exit }'
}

# inside ROOT KEEP BIND... -- COMMAND...: all mounts are in a namespace of their own, so that nothing is left to unmount.
inside() {
  # shellcheck disable=SC2016
  exec unshare --mount --pid --fork --kill-child --ipc --uts --propagation private -- bash -c '
    set -euo pipefail
    root=$1 keep=$2
    shift 2
    if [ "$keep" = no ]; then
      # In memory: not every file system can carry the upper layer of another.
      mount -t tmpfs -o mode=755 tmpfs "$root/mnt"
      mkdir "$root/mnt/upper" "$root/mnt/work" "$root/mnt/root"
      mount -t overlay -o "lowerdir=$root,upperdir=$root/mnt/upper,workdir=$root/mnt/work" overlay "$root/mnt/root"
      root=$root/mnt/root
    fi
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    cp --dereference --remove-destination /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
    while [ "$1" != -- ]; do
      if [ -d "$1" ]; then
        mkdir -p "$root$1"
      else
        mkdir -p "$root$(dirname "$1")"
        touch "$root$1"
      fi
      mount --rbind "$1" "$root$1"
      shift
    done
    shift
    variables=(PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root LANG=C.UTF-8
      TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive)
    for name in http_proxy https_proxy no_proxy; do
      [ -z "${!name:-}" ] || variables+=("$name=${!name}")
    done
    exec chroot "$root" env -i "${variables[@]}" "$@"
  ' - "$@"
}

if [ "$1" = run ]; then
  [ $# -ge 3 ] || usage
  root=$2
  shift 2
  [ -d "$root/etc" ] || die "no root: $root"
  keep=no
  binds=()
  while [ $# -gt 0 ]; do
    case $1 in
    --bind)
      [ -e "${2:-}" ] || die "no such file or folder: ${2:-}"
      binds+=("$(realpath "$2")")
      shift 2
      ;;
    --keep) keep=yes && shift ;;
    --) shift && break ;;
    -*) usage ;;
    *) break ;;
    esac
  done
  [ $# -gt 0 ] || usage
  inside "$(realpath "$root")" "$keep" "${binds[@]}" -- "$@"
fi

suite=$1
shift
[[ "$suite" =~ ^[a-z]+$ ]] || usage
packages=$(printf '%s\n' "$@" | sort -u | xargs)

folder=${XDG_CACHE_HOME:-$HOME/.cache}/rendezvous/roots
mkdir -p "$folder"
root=$folder/$suite
[ -z "$packages" ] || root=$folder/$suite-$(sha256sum <<<"$packages" | cut -c 1-12)

# Two that want the same root make it once.
exec 9>"$root.lock"
flock 9

if [ ! -d "$root" ]; then
  made=$root.making
  rm -rf "$made" # of one that was interrupted
  said=$root.log
  if [ -n "$packages" ]; then
    base=$("${BASH_SOURCE[0]}" "$suite" 9>&-)
    cp -a --reflink=auto "$base" "$made"
    # shellcheck disable=SC2016
    (inside "$made" yes -- sh -c 'apt-get -qq update && apt-get -qq -y --no-install-recommends install "$@"' - $packages) \
      >"$said" 2>&1 || die "packages for a root of $suite could not be installed:"$'\n'"$(tail -n 5 "$said")"
  else
    command -v debootstrap >/dev/null || die "debootstrap is missing (scripts/deps.sh test installs it)"
    from=${ROOT_MIRROR:-$(mirror)}
    [ -n "$from" ] || die "apt of this machine has no source of Debian's packages: name one in ROOT_MIRROR"
    script=()
    # Of a suite that is newer than debootstrap it is enough to know that it is Debian's.
    [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=(sid)
    keyring=()
    [ -z "${ROOT_KEYRING:-}" ] || keyring=(--keyring "$ROOT_KEYRING")
    debootstrap --variant=minbase --components="${ROOT_COMPONENTS:-main}" "${keyring[@]}" "$suite" "$made" "$from" "${script[@]}" >"$said" 2>&1 ||
      die "no root of $suite could be made:"$'\n'"$(tail -n 5 "$said")"
    # What breaks a root's making is made anew: the disk need not be waited for after each file.
    echo force-unsafe-io >"$made/etc/dpkg/dpkg.cfg.d/unsafe-io"
  fi
  rm -rf "$made"/var/cache/apt/archives/*.deb
  mv "$made" "$root"
fi
echo "$root"
