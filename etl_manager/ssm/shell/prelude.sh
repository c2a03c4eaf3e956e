# Every command starts here: strict mode, an environment of its own, and a run folder that no other user may enter.
# shellcheck shell=bash
# Given by the suite: WORKSPACE RUNTIME LIMIT MARK, TOKEN, which no other command has, and ONCE, where it may run once.
set -uo pipefail
umask 077
: "${WORKSPACE:?}" "${RUNTIME:?}" "${LIMIT:?}" "${MARK:?}" "${TOKEN:?}"
export PATH="${PATH:-/usr/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export HOME="$RUNTIME" LC_ALL=C
unset CDPATH ENV BASH_ENV
# Amazon Linux 2 keeps a usable openssl beside its own.
if command -v openssl11 >/dev/null; then
    openssl() { openssl11 "$@"; }
    export -f openssl
fi

# mark ENCODING BYTES SHA256 STATUS SIZE REMAINDER: the end of every output, with the command's own token.
mark() {
    printf '\n%s token=%s encoding=%s bytes=%d sha256=%s status=%d size=%d remainder=%s\n' "$MARK" "$TOKEN" "$@"
}

# refuse WHY: SSM may have a command twice where a response was lost on the network. The first to claim the token of
# the command runs; the other one, and one that arrives when the run is over, does nothing and says so.
refuse() {
    local why="why=$1"
    printf '%s' "$why"
    mark plain "${#why}" "$(printf '%s' "$why" | sha256sum | cut -d' ' -f1)" 77 "${#why}" ''
    exit 77
}

[[ -d $RUNTIME || -z ${ONCE:-} ]] || refuse over
# make_folder FOLDER: make it, with the mark by which a later run may delete it: the seconds since the machine's start.
make_folder() { mkdir "$1" && cut -d . -f 1 /proc/uptime >"$1/.etl-manager"; }

[[ -d $RUNTIME ]] || make_folder "$RUNTIME"
[[ -d $RUNTIME && -O $RUNTIME && ! -L $RUNTIME ]] || {
    echo "the run folder $RUNTIME is not ours" >&2
    exit 71
}
[[ -z ${ONCE:-} ]] || mkdir "$RUNTIME/once.$TOKEN" 2>/dev/null || refuse taken
OUT=$(mktemp "$RUNTIME/out.XXXXXX") || exit 71

output_lost='' # set where a part of the output could not be written, as on a full disk

# fact NAME VALUE: one line the suite reads.
fact() { printf '%s=%s\n' "$1" "$2" || output_lost=yes; }

# state_of_workspace: absent, link, foreign (another user's), empty, unknown (ours, but not made by the suite) or made.
state_of_workspace() {
    if [[ -L $WORKSPACE ]]; then echo link
    elif [[ ! -e $WORKSPACE ]]; then echo absent
    elif [[ ! -d $WORKSPACE || ! -O $WORKSPACE ]]; then echo foreign
    elif [[ -f $WORKSPACE/.transfer/digest ]]; then echo made
    elif [[ -z $(ls -A "$WORKSPACE") ]]; then echo empty
    else echo unknown
    fi
}

# What a workspace that was made is: the digest of its archive, and whether it is what the suite packed, MANIFEST being the
# digest of the archive's own list: a list on the bastion could be edited together with a file.
digest_of_workspace() { cat "$WORKSPACE/.transfer/digest"; }
intact() (
    cd "$WORKSPACE" && all_files && sha256sum --quiet --check .transfer/manifest >/dev/null 2>&1 &&
        [[ $(sort .transfer/manifest | sha256sum | cut -d' ' -f1) == "${MANIFEST:?}" ]]
)

# all_files: whether digest, list, and all that it names are files, or links to files: reading a FIFO or a device has no end.
all_files() {
    local line
    [[ -f .transfer/digest && -f .transfer/manifest ]] || return
    while IFS= read -r line; do
        [[ -f ${line:66} ]] || return
    done <.transfer/manifest
}

# escaped FILE: its size in the JSON of the agent's reply, which writes some characters as two bytes and some as six.
escaped() {
    echo $(($(wc -c <"$1") + $(tr -dc '"\\\n\r\t' <"$1" | wc -c) + 5 * $(tr -dc '<>&\000-\010\013\014\016-\037' <"$1" | wc -c)))
}

# finish STATUS: print what main printed and the end marker, with its length and digest. SSM keeps 24,000 bytes, and a
# reply whose JSON has 120,000 with stderr and all is never sent: more than LIMIT, or twice that in JSON, is compressed;
# where that is not enough either, all of it is left in the file $remainder for the suite to fetch.
finish() {
    local status=$1 bytes digest encoding=plain size pack
    bytes=$(wc -c <"$OUT") digest=$(sha256sum <"$OUT" | cut -d' ' -f1)
    if ((bytes > LIMIT || $(escaped "$OUT") > 2 * LIMIT)) || ! iconv -f UTF-8 -t UTF-8 "$OUT" >/dev/null 2>&1; then
        # The lists of the tenants come again farther apart than gzip looks back (32 KB); -2 takes 17 MB of memory.
        if [[ $XZ ]] && xz --version >/dev/null 2>&1; then encoding=xz pack=(xz -2 -T1 -c); else encoding=gzip pack=(gzip -9n); fi
        "${pack[@]}" <"$OUT" | base64 -w 0 >"$OUT.enc" && mv "$OUT.enc" "$OUT" || output_lost=yes
    fi
    [[ -z $output_lost ]] || { status=78 && : >"$OUT"; }
    size=$(wc -c <"$OUT")
    remainder=''
    ((size > LIMIT)) && remainder=$OUT
    head -c "$LIMIT" "$OUT"
    mark "$encoding" "$bytes" "$digest" "$status" "$size" "${remainder##*/}"
    [[ -n $remainder ]] || rm -f "$OUT"
    return "$status"
}
