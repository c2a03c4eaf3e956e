# shellcheck shell=bash disable=SC2154
# The end of a run, in a command of its own or in its last one: the key and all that was kept for it go away.
# Where the output was too long for one command, the rest is still wanted, and the run is closed later.
finish_and_close() {
    local status
    finish "$1"
    status=$?
    [[ -n $kept ]] || rm -rf "$RUNTIME"
    return "$status"
}
