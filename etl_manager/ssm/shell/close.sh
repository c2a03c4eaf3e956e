# shellcheck shell=bash disable=SC2154
# The end of a run, in a command of its own or in its last one: the key and all that was kept for it go away.
# Where the output was too long for one command, the rest is still wanted, and the run is closed later.
finish_and_close() {
    local status
    finish "$1"
    status=$?
    [[ -n $kept ]] || remove_run
    return "$status"
}

# Another command of the run may be under way yet, when SSM told nothing of it: it ends as its files go away.
remove_run() {
    local attempt
    for attempt in 1 2 3 4 5; do
        rm -rf "$RUNTIME" 2>/dev/null && return
        sleep "0.$attempt"
    done
}
