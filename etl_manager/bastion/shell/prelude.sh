# Every command starts here: strict mode, an environment of its own, and a run folder nobody else may enter.
# shellcheck shell=bash
# Given by the suite: WORKSPACE RUNTIME LIMIT MARK.
set -uo pipefail
umask 077
: "${WORKSPACE:?}" "${RUNTIME:?}" "${LIMIT:?}" "${MARK:?}"
export PATH="${PATH:-/usr/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export HOME="$RUNTIME" LC_ALL=C
unset CDPATH ENV BASH_ENV

[[ -d $RUNTIME ]] || mkdir "$RUNTIME"
[[ -d $RUNTIME && -O $RUNTIME && ! -L $RUNTIME ]] || {
    echo "the run folder $RUNTIME is not ours" >&2
    exit 71
}
OUT=$(mktemp "$RUNTIME/out.XXXXXX") || exit 71

# fact NAME VALUE: one line the suite reads.
fact() { printf '%s=%s\n' "$1" "$2"; }

# state_of_workspace: absent, link, foreign (another user's), unknown (ours, but not made by the suite) or made.
state_of_workspace() {
    if [[ -L $WORKSPACE ]]; then echo link
    elif [[ ! -e $WORKSPACE ]]; then echo absent
    elif [[ ! -d $WORKSPACE || ! -O $WORKSPACE ]]; then echo foreign
    elif [[ ! -f $WORKSPACE/.transfer/digest ]]; then echo unknown
    else echo made
    fi
}

# finish STATUS: print what main printed and the end marker, with its length and digest. SSM keeps 24,000 bytes:
# more than LIMIT is compressed; where that is not enough either, the rest is kept (in $kept) for the suite to fetch.
finish() {
    local status=$1 bytes digest encoding=plain size
    bytes=$(wc -c <"$OUT") digest=$(sha256sum <"$OUT" | cut -d' ' -f1)
    if ((bytes > LIMIT)) || ! iconv -f UTF-8 -t UTF-8 "$OUT" >/dev/null 2>&1; then
        encoding=gzip
        gzip -9n <"$OUT" | base64 -w 0 >"$OUT.enc" && mv "$OUT.enc" "$OUT"
    fi
    size=$(wc -c <"$OUT")
    kept=''
    ((size > LIMIT)) && kept=$OUT
    head -c "$LIMIT" "$OUT"
    printf '\n%s encoding=%s bytes=%d sha256=%s status=%d size=%d kept=%s\n' \
        "$MARK" "$encoding" "$bytes" "$digest" "$status" "$size" "${kept##*/}"
    [[ -n $kept ]] || rm -f "$OUT"
    return "$status"
}
