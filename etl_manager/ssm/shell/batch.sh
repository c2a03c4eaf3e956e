# shellcheck shell=bash disable=SC2154
# SQL files run one after another by the engine, each framed with its exit status, seconds and sizes; the first
# failure ends the batch. Given by the suite: the AURORA_* variables, and the calls of run_sql_file FILE.
# The engine is given to bash: where /tmp is mounted noexec nothing in the workspace can be executed.
run_sql_file() { framed "$1" bash scripts/2-sql-execute.sh config.json "$1"; }

# framed NAME WORD...: run a command in the workspace, and print what it printed with its sizes before it.
framed() {
    local name=$1 status started finished
    shift
    started=$(date +%s%N)
    (cd "$WORKSPACE" && "$@") >"$OUT.stdout" 2>"$OUT.stderr"
    status=$?
    finished=$(date +%s%N)
    printf '%s file exit=%d milliseconds=%d stdout=%d stderr=%d name=%s\n' "$MARK" "$status" \
        $(((finished - started) / 1000000)) "$(wc -c <"$OUT.stdout")" "$(wc -c <"$OUT.stderr")" "$name"
    cat "$OUT.stdout" "$OUT.stderr"
    rm -f "$OUT.stdout" "$OUT.stderr"
    return "$status"
}
