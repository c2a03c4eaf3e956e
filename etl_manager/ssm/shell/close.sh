# shellcheck shell=bash disable=SC2154
# The end of a run, in a command of its own or in its last one: the run's folder with its key is deleted.
# Where the output was too long for one command, the remainder is still to be fetched, and the run is closed later.
finish_and_close() {
    local status
    finish "$1"
    status=$?
    [[ -n $remainder ]] || remove_run
    return "$status"
}

# Another command of the run may still be running where SSM did not report it: it ends when its files are deleted.
remove_run() {
    local attempt
    for attempt in 1 2 3 4 5; do
        rm -rf "$RUNTIME" 2>/dev/null && return
        sleep "0.$attempt"
    done
}
