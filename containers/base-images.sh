#!/usr/bin/env bash
# Build the images of the container target from Debian's packages, for where no image registry can be reached.
#
# usage: containers/base-images.sh [--again]     (as root, on Debian or a relative of it, with debootstrap and Podman or Docker)
#
# The packages come from wherever apt takes them on this machine. What is built:
#   localhost/etl-manager/base      Debian with PostgreSQL and what a bastion needs
#   localhost/etl-manager/postgres  the server, which the target uses where the official image is not at hand
# (the bastion's image is built on the base by the target itself). What is there already is left alone; --again builds anew.
# exit: 0 both images are there, 1 they are not, 64 wrong call
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly PREFIX=localhost/etl-manager
# procps: for people who look around. The rest is what the engine and the transfer call.
readonly PACKAGES=ca-certificates,jq,openssl,postgresql,procps,python3

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit "${2:-1}"
}

# Put the engine's command line into $engine: the one that answers, in the order in which the target looks.
find_engine() {
    for engine in docker podman; do
        if command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1; then
            return
        fi
    done
    die "neither Podman nor Docker answers"
}

# Print the mirror, then the release, that apt takes this system's own packages from.
apt_source() {
    local codename
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016  # apt-get fills these in
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Identifier: Packages' |
        awk -v codename="$codename" '$2 == codename && $3 == "main" { print $1, $2; exit }'
}

build_base() {
    local mirror release work
    command -v debootstrap >/dev/null || die "debootstrap is not installed: apt-get install debootstrap"
    [[ $(id -u) == 0 ]] || die "debootstrap works as root only"
    read -r mirror release < <(apt_source) || true
    [[ -n ${mirror:-} ]] || die "apt does not say where this system's packages come from: run apt-get update"
    work=$(mktemp -d /var/tmp/etl-manager-base.XXXXXX) # unlike /tmp never mounted nodev or noexec
    # shellcheck disable=SC2064  # this very folder, now
    trap "rm -rf -- '$work'" EXIT
    debootstrap --variant=minbase --include="$PACKAGES" "$release" "$work/root" "$mirror" >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; die "debootstrap failed"; }
    # Half of it is of no use here: manuals, the just-in-time compiler, and the cluster that Debian makes.
    (cd "$work/root" && rm -rf usr/share/{doc,info,locale,man}/* usr/lib/*/libLLVM* usr/lib/postgresql/*/lib/bitcode \
        usr/lib/postgresql/*/lib/llvmjit* var/lib/postgresql/*/main var/cache/apt/* var/lib/apt/lists/*)
    tar -C "$work/root" --one-file-system -c . |
        "$engine" import --change 'CMD ["bash"]' - "$PREFIX/base" >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; die "the engine did not take the base"; }
    rm -rf -- "$work"
    trap - EXIT
}

build_postgres() {
    "$engine" build --quiet --build-arg BASE="$PREFIX/base" --tag "$PREFIX/postgres" postgres >/dev/null
}

main() {
    local name again=
    [[ ${1:-} != --again ]] || { again=yes; shift; }
    (($# == 0)) || die "usage: containers/base-images.sh [--again]" 64
    find_engine
    for name in base postgres; do
        if [[ -n $again ]] || ! "$engine" image inspect "$PREFIX/$name" >/dev/null 2>&1; then
            echo "building $PREFIX/$name ..."
            "build_$name"
        fi
    done
}

main "$@"
