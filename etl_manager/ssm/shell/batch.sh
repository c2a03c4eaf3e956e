# shellcheck shell=bash disable=SC2154,SC2034
# SQL files run one after another by the engine, each framed with its exit status, seconds and sizes; the first
# failure ends the batch. Given by the suite: the AURORA_* variables, and the calls of run_sql_file FILE.
# own_copy: have this run's files in its own folder, where no other run's transfer and no other user reaches them; the
# workspace may be another archive's by now. Only what the list names is copied, and of a link what it leads to: nothing that
# was put beside the files comes along, and nothing can be changed from outside afterwards. Given by the suite: DIGEST and
# MANIFEST.
own_copy() {
    rm -rf "$RUNTIME/workspace"
    mkdir "$RUNTIME/workspace" && (
        cd "$WORKSPACE" && all_files && { cut -c 67- .transfer/manifest && printf '.transfer/%s\n' digest manifest; } |
            tr '\n' '\0' | xargs -0 cp --parents -t "$RUNTIME/workspace" --
    ) 2>/dev/null || return 79
    WORKSPACE=$RUNTIME/workspace
    [[ $(digest_of_workspace 2>/dev/null) == "${DIGEST:?}" ]] && intact || return 79
}

# The engine is given to bash: where /tmp is mounted noexec nothing in the workspace can be executed.
# What is the same for each file of a command is done once: the sealed handover is opened into a variable that is not
# exported, from which the engine is given it by a pipe, and the database is waited for. Where it cannot be opened, the
# engine tries by itself, and says why not.
run_sql_file() {
    local status=0
    hand_over
    framed "$1" bash scripts/2-sql-execute.sh config.json "$1" || status=$?
    ((status != 0 && status != 3)) || export DATABASE_ANSWERED=yes # 3 is an SQL error: there was a connection
    return "$status"
}

hand_over() {
    [[ -n ${pgpass+set} ]] || pgpass=$(unseal "$AURORA_SEALED_KEY" "$AURORA_SEALED" 2>/dev/null)
    if [[ $pgpass == '*:*:*:'* ]]; then
        exec 3< <(printf '%s\n' "$pgpass")
        export AURORA_PGPASS_FD=3
    fi
}

# look FILE: as run_sql_file. One psql makes all looks of a command: what the template makes it knows from the first one on.
# What builds and what verifies has a psql of its own.
look() {
    local status=0 kept=$1
    if [[ -z ${looking:-} || -e $RUNTIME/look.status ]]; then # the first one, or the one before ended in an error
        kept=
        hand_over
        rm -f "$RUNTIME"/look.*
        mkfifo "$RUNTIME/look.next" "$RUNTIME/look.stdout" "$RUNTIME/look.stderr" || { output_lost=yes; return 1; }
        (
            cd "$WORKSPACE" && AURORA_NEXT=$RUNTIME/look.next bash scripts/2-sql-execute.sh config.json "$1"
            echo $? >"$RUNTIME/look.status"
        ) >"$RUNTIME/look.stdout" 2>"$RUNTIME/look.stderr" &
        looking=$!
        exec 4<"$RUNTIME/look.stdout" 5<"$RUNTIME/look.stderr" 6<>"$RUNTIME/look.next"
    fi
    framed "$1" looked "$kept" || status=$?
    ((status != 0 && status != 3)) || export DATABASE_ANSWERED=yes
    return "$status"
}

# looked FILE: have the psql that looks run FILE, or else end what it is at; print what it prints, and return its status where
# it has ended. A line that nobody knows beforehand ends what belongs to the file.
looked() {
    local end reader status
    end=look.$TOKEN.$RANDOM$RANDOM
    if [[ -n $1 ]]; then
        printf '[INFO] %s: by the psql that looked before\n' "$1" >&2
        printf '\\set look_again yes\n\\i %s\n' "$1" >&6
    fi
    printf '\\echo %s\n\\! echo %s >&2\n' "$end" "$end" >&6
    # Unbuffered: what it says of its progress is read meanwhile.
    sed -u "/^$end\$/Q9" <&5 >&2 &
    reader=$!
    sed "/^$end\$/Q9" <&4
    wait "$reader"
    (($? != 9)) || return 0
    read -r status <"$RUNTIME/look.status" && return "$status"
}

# stop_looking: let the psql that looks end, as long as its folder is there.
stop_looking() {
    [[ -n ${looking:-} ]] || return 0
    printf '\\q\n' >&6
    exec 6>&-
    cat <&5 >/dev/null
    wait "$looking" || true
}

# uptime_into NAME: set the variable to the milliseconds since the machine's start; its clock may be set meanwhile.
uptime_into() {
    local up rest
    IFS=' .' read -r up rest _ </proc/uptime
    printf -v "$1" '%d' "$up${rest}0"
}

# framed NAME WORD...: run a command in the workspace, and print what it printed with its sizes before it.
# The command writes into pipes: many programs, psql too, do not report that they could not write to a full disk; cat and sed do.
# What the SQL says of its progress is kept apart while it runs, for progress.sh, and is no part of the output.
framed() {
    local name=$1 status started finished stdout_writer stderr_writer sizes
    shift
    mkfifo "$OUT.stdout-pipe" "$OUT.stderr-pipe" || { output_lost=yes; return 1; }
    printf '%s' "$name" >"$OUT.running"
    cat "$OUT.stdout-pipe" >"$OUT.stdout" 2>/dev/null &
    stdout_writer=$!
    sed -u -e '/ \[PROGRESS\] \(tenants\|waits\)=/{' -e "w $OUT.progress" -e 'd;}' "$OUT.stderr-pipe" >"$OUT.stderr" 2>/dev/null &
    stderr_writer=$!
    uptime_into started
    (cd "$WORKSPACE" && "$@") >"$OUT.stdout-pipe" 2>"$OUT.stderr-pipe"
    status=$?
    uptime_into finished
    written "$stdout_writer" && written "$stderr_writer" || output_lost=yes
    mapfile -t sizes < <(stat -c %s "$OUT.stdout" "$OUT.stderr")
    printf '%s file exit=%d milliseconds=%d stdout=%d stderr=%d name=%s\n' "$MARK" "$status" \
        $((finished - started)) "${sizes[0]:-}" "${sizes[1]:-}" "$name" || output_lost=yes
    cat "$OUT.stdout" "$OUT.stderr" || output_lost=yes
    rm -f "$OUT.stdout"* "$OUT.stderr"* "$OUT.running" "$OUT.progress"
    return "$status"
}

# written PID: wait for a writer and return its status. A process that the command left in the background may hold the
# pipe open: it is not waited for.
written() {
    local attempt
    for ((attempt = 0; attempt < 400; attempt++)); do
        kill -0 "$1" 2>/dev/null || { wait "$1"; return; }
        sleep 0.005
    done
}
