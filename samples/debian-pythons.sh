#!/bin/sh
# Fetches Debian's own builds of newer CPythons, for live tests on stripped, link-time-optimised interpreters:
# 3.13 from trixie, 3.14 from sid, 3.15 from sid or else experimental. Each goes into a root of its own:
#
#     samples/debian-pythons.sh FOLDER [VERSION...]      e.g.  samples/debian-pythons.sh /var/tmp/pythons 3.14
#
#     chroot FOLDER/3.14 /usr/bin/python3.14 …           bare: no /proc, no /tmp; a script comes on standard input
#     FOLDER/run-3.14 SCRIPT …                           the same interpreter in a private mount namespace, with the
#                                                        host's folders (/proc, /tmp, /home, …) at their places and
#                                                        all of the host below /host; the process keeps its PID
#
# The packages are resolved, fetched and verified by apt into FOLDER/.apt (this host's apt configuration is read, never
# changed) and only unpacked: no package script runs, a root takes about 100 MB instead of a whole system. A root that
# is complete is kept, so running this again costs nothing. The mirror is the one this host's apt uses for Debian, or
# debootstrap's default, or $MIRROR. Needs: apt-get, dpkg-deb, the Debian archive keyring; root for chroot (not to fetch).
#
# Exit status: 0 all there, 1 something could not be fetched (the rest is), 2 wrong use or a tool missing.
set -eu

say() { printf '%s\n' "debian-pythons: $*" >&2; }
die() { say "$*"; exit 2; }

[ $# -ge 1 ] || die "usage: $0 FOLDER [VERSION...]"
case $1 in -*) die "usage: $0 FOLDER [VERSION...]" ;; esac
mkdir -p "$1" || die "cannot make the folder $1"
folder=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- 3.13 3.14 3.15

for tool in apt-get apt-cache dpkg dpkg-deb tar; do
    command -v "$tool" >/dev/null || die "$tool is missing: this script needs a Debian-like host (apt, dpkg)"
done
keyring=${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
[ -r "$keyring" ] || die "no $keyring: apt-get install debian-archive-keyring, or set KEYRING"
architecture=$(dpkg --print-architecture)

find_mirror() {
    if [ -n "${MIRROR:-}" ]; then
        printf '%s\n' "$MIRROR"
        return
    fi
    # shellcheck disable=SC2016  # apt's own placeholders
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "main" && $3 !~ /-/ { print $4; exit }' | grep . && return
    for file in /usr/share/debootstrap/functions /usr/sbin/debootstrap; do
        [ -r "$file" ] || continue
        sed -n 's/^DEF_MIRROR=["'\'']\{0,1\}\([^"'\'' ]*\).*/\1/p' "$file" | head -n 1 | grep . && return
    done
}
mirror=$(find_mirror || true)
[ -n "$mirror" ] || die "no Debian mirror in this host's apt sources, and no debootstrap: set MIRROR=URL"

# One apt state per set of suites: an empty dpkg status, so that every dependency down to libc is fetched.
suites_of() {
    case $1 in
        3.13) echo trixie ;;
        *) echo sid experimental ;;
    esac
}
apt_in() {
    state=$1
    shift
    command=$1
    shift
    "$command" -q -o Dir::State="$state/state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o APT::Architecture="$architecture" -o APT::Architectures::="$architecture" -o APT::Sandbox::User=root \
        -o APT::Install-Recommends=false -o pkgCacheGen::Essential=none -o Acquire::Languages=none \
        -o Debug::NoLocking=true -o DPkg::Pre-Install-Pkgs::= -o Dir::Log="$state" "$@"
}
updated=
prepare_apt() {
    state=$folder/.apt/$(echo "$*" | tr ' ' -)
    case " $updated " in *" $state "*) return 0 ;; esac
    mkdir -p "$state/state/lists/partial" "$state/cache/archives/partial"
    : >"$state/status"
    : >"$state/sources.list"
    for suite; do
        echo "deb [signed-by=$keyring] $mirror $suite main" >>"$state/sources.list"
    done
    say "reading the package lists of $* from the host's Debian mirror"
    apt_in "$state" apt-get update >"$state/update.log" 2>&1 || {
        tail -n 5 "$state/update.log" >&2
        return 1
    }
    updated="$updated $state"
}

# A script of ours in FOLDER that execs the interpreter, so that its PID is the caller's child.
write_runner() {
    cat >"$folder/run-$1" <<RUN
#!/bin/sh
# Debian's python$1 in $folder/$1, with the host's folders at their places, but for those of its system, and all below /host.
exec unshare --mount sh -ec '
    root=\$1; shift
    for dir in /*/; do
        case \$dir in /usr/|/bin/|/sbin/|/lib*/|/etc/|/var/|/run/|/boot/|/host/|/lost+found/) continue ;; esac
        mkdir -p "\$root\$dir"
        mount --rbind "\$dir" "\$root\$dir"
    done
    mount --rbind / "\$root/host"
    exec chroot "\$root" /usr/bin/python$1 "\$@"' sh "$folder/$1" "\$@"
RUN
    chmod +x "$folder/run-$1"
}

fetch() {
    version=$1
    root=$folder/$version
    if [ -e "$root/.complete" ]; then
        say "$version: already there ($(cat "$root/.complete"))"
        return 0
    fi
    # shellcheck disable=SC2046  # several suites
    prepare_apt $(suites_of "$version") || { say "$version: apt could not read the package lists"; return 1; }
    if ! apt_in "$state" apt-cache show "python$version" >/dev/null 2>&1; then
        say "$version: no package python$version in $(suites_of "$version")"
        return 1
    fi
    archives=$state/cache/archives
    rm -f "$archives"/*.deb
    if ! apt_in "$state" apt-get --yes --download-only install "python$version" >"$state/fetch.log" 2>&1; then
        tail -n 5 "$state/fetch.log" >&2
        say "$version: apt could not fetch python$version"
        return 1
    fi
    rm -rf "$root"
    mkdir -p "$root/usr" "$root/proc" "$root/dev" "$root/sys" "$root/tmp" "$root/host" "$root/etc"
    chmod 1777 "$root/tmp"
    for dir in bin sbin lib lib64; do
        mkdir -p "$root/usr/$dir"
        ln -s "usr/$dir" "$root/$dir"
    done
    for package in "$archives"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
            --exclude ./usr/share/doc --exclude ./usr/share/man || { say "$version: cannot unpack $package"; return 1; }
    done
    rm -f "$archives"/*.deb
    # What a bare chroot lacks most: without them subprocess.DEVNULL and uuid fail.
    mknod -m 666 "$root/dev/null" c 1 3 2>/dev/null || : >"$root/dev/null"
    mknod -m 666 "$root/dev/urandom" c 1 9 2>/dev/null || true
    mkdir -p "$root/dev/shm"
    [ -x "$root/usr/bin/python$version" ] || { say "$version: the packages hold no /usr/bin/python$version"; return 1; }
    if [ "$(id -u)" = 0 ]; then
        full=$(chroot "$root" "/usr/bin/python$version" -S -c 'import platform; print(platform.python_version())') ||
            { say "$version: fetched, but it does not run"; return 1; }
    else
        full="$version, not run: chroot needs root"
    fi
    echo "$full" >"$root/.complete"
    say "$version: fetched ($full), run it with $folder/run-$version"
}

status=0
for version; do
    case $version in
        3.[0-9]*) ;;
        *) die "a version looks like 3.14, not $version" ;;
    esac
    if fetch "$version"; then write_runner "$version"; else status=1; fi
done
exit $status
