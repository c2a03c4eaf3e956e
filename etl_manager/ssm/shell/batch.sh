# shellcheck shell=bash disable=SC2154,SC2034
# SQL files run one after another by the engine, each framed with its exit status, seconds and sizes; the first
# failure ends the batch. Given by the suite: the AURORA_* variables, and the calls of run_sql_file FILE.
# own_copy: have this run's files in its own folder, where no other run's transfer and no other user reaches them; the
# workspace may be another archive's by now. Given by the suite: DIGEST and MANIFEST.
own_copy() {
    rm -rf "$RUNTIME/workspace"
    cp -R "$WORKSPACE" "$RUNTIME/workspace" 2>/dev/null || return 79
    WORKSPACE=$RUNTIME/workspace
    [[ $(digest_of_workspace 2>/dev/null) == "${DIGEST:?}" ]] && intact || return 79
}

# The engine is given to bash: where /tmp is mounted noexec nothing in the workspace can be executed.
# What is the same for each file of a command is done once: the sealed handover is opened into a variable that is not
# exported, from which the engine is given it by a pipe, and the database is waited for. Where it cannot be opened, the
# engine tries by itself, and says why not.
run_sql_file() {
    local status=0
    [[ -n ${pgpass+set} ]] || pgpass=$(unseal "$AURORA_SEALED_KEY" "$AURORA_SEALED" 2>/dev/null)
    if [[ $pgpass == '*:*:*:'* ]]; then
        exec 3< <(printf '%s\n' "$pgpass")
        export AURORA_PGPASS_FD=3
    fi
    framed "$1" bash scripts/2-sql-execute.sh config.json "$1" || status=$?
    ((status != 0 && status != 3)) || export DATABASE_ANSWERED=yes # 3 is an SQL error: there was a connection
    return "$status"
}

# uptime_into NAME: set the variable to the milliseconds since the machine's start; its clock may be set meanwhile.
uptime_into() {
    local up rest
    IFS=' .' read -r up rest _ </proc/uptime
    printf -v "$1" '%d' "$up${rest}0"
}

# framed NAME WORD...: run a command in the workspace, and print what it printed with its sizes before it.
# The command writes into pipes: many programs, psql too, do not report that they could not write to a full disk; cat does.
framed() {
    local name=$1 status started finished stdout_writer stderr_writer
    shift
    mkfifo "$OUT.stdout-pipe" "$OUT.stderr-pipe" || { output_lost=yes; return 1; }
    cat "$OUT.stdout-pipe" >"$OUT.stdout" 2>/dev/null &
    stdout_writer=$!
    cat "$OUT.stderr-pipe" >"$OUT.stderr" 2>/dev/null &
    stderr_writer=$!
    uptime_into started
    (cd "$WORKSPACE" && "$@") >"$OUT.stdout-pipe" 2>"$OUT.stderr-pipe"
    status=$?
    uptime_into finished
    written "$stdout_writer" && written "$stderr_writer" || output_lost=yes
    printf '%s file exit=%d milliseconds=%d stdout=%d stderr=%d name=%s\n' "$MARK" "$status" \
        $((finished - started)) "$(wc -c <"$OUT.stdout")" "$(wc -c <"$OUT.stderr")" "$name" || output_lost=yes
    cat "$OUT.stdout" "$OUT.stderr" || output_lost=yes
    rm -f "$OUT.stdout"* "$OUT.stderr"*
    return "$status"
}

# written PID: wait for a writer and return its status. A process that the command left in the background may hold the
# pipe open: it is not waited for.
written() {
    local attempt
    for ((attempt = 0; attempt < 100; attempt++)); do
        kill -0 "$1" 2>/dev/null || { wait "$1"; return; }
        sleep 0.02
    done
}
