#!/usr/bin/env bash
# Run one SQL file of the project against Aurora, on the bastion, from the workspace root.
#
# usage: scripts/2-sql-execute.sh CONFIG.json sql/aurora/PHASE/FILE.sql
#
# PHASE decides the database: aurora.phases.PHASE.connection_db of CONFIG.json, or the phase's default.
# Files of verification and inspection run in read-only sessions, those of verification in one read-only transaction.
# Files of teardown destroy: they run only where CONFIRM_DATABASE names the tenants' database again.
# The connection comes from the environment:
#   AURORA_ENDPOINT, AURORA_PORT (default 5432), AURORA_USER, AURORA_PASSWORD
#   AURORA_SSLMODE, AURORA_SSLROOTCERT (optional): as libpq's sslmode and sslrootcert
# or, in place of AURORA_PASSWORD, from a sealed handover:
#   AURORA_HANDOVER_KEY  the file of the private key
#   AURORA_SEALED_KEY    base64 of the other side's public key (P-256, DER): both keys give the passphrase (ECDH)
#   AURORA_SEALED        base64 of a pgpass line, encrypted with that passphrase (openssl enc)
# or from whoever has opened that already:
#   AURORA_PGPASS_FD     the number of an open file, from which the pgpass line is read
# AURORA_NEXT (optional) is a named pipe: what it gives is run after the file, by the same psql, until it is closed.
# DATABASE_ANSWERED (optional) is set where the database has just been connected to: it is not waited for then.
# ONLY_TENANTS (optional) is a JSON array of the tenants of CONFIG.json to work on, RUN_ID (optional) what the ledger of changes
# calls this run.
# LOCK_TIMEOUT (default 60) is how many seconds a statement waits for a lock that another session holds.
# AURORA_RUNTIME_DIR (default TMPDIR, then /tmp) is where the pgpass file lives until psql has read it.
#
# stdout: what psql prints, and nothing else.   stderr: the log, and psql's messages.
# exit:   0 done, 2 no connection, 3 SQL error (stops at the first), 64 wrong call
#
# Needs bash 4.2, coreutils, psql 11, and jq or python3; for the handover openssl 1.1.1.
# No secret is ever a program's argument: everybody on the bastion may read those.
set +x # tracing would print the password
set -euo pipefail
umask 077
export LC_ALL=C # psql's "(3 rows)" is read by programs: it must not be translated

readonly EX_USAGE=64
runtime=
psql_pid=
watcher=

readonly CONNECT_ATTEMPTS=4 # of 15 s, or of the PGCONNECT_TIMEOUT that is set
info() { printf '[INFO] %s\n' "$*" >&2; }
warning() { printf '[WARNING] %s\n' "$*" >&2; }
error() { printf '[ERROR] %s\n' "$*" >&2; }
die() {
    error "$@"
    exit "$EX_USAGE"
}

cleanup() {
    [[ -z $watcher ]] || kill "$watcher" 2>/dev/null || true
    if [[ -n $runtime ]]; then
        rm -rf -- "$runtime"
    fi
}

# A signal: let psql cancel its statement on the server, then end whatever is left.
interrupted() {
    error "interrupted by SIG$1"
    if [[ -n $psql_pid ]]; then
        kill -INT "$psql_pid" 2>/dev/null || true
        local tenths
        for ((tenths = 0; tenths < 20; tenths++)); do
            kill -0 "$psql_pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -TERM "$psql_pid" 2>/dev/null || true
    fi
    exit "$2"
}

# first_string FILE PATHS: print the first string at PATHS, a JSON array of paths; nothing where there is none.
# Fails where FILE is not one JSON document, or something else than a string is at one of them.
first_string() {
    if command -v jq >/dev/null; then
        # Slurped, since jq takes an empty file for no input rather than for bad input.
        jq --slurp --raw-output --argjson paths "$2" '
            if length == 1 then .[0] else error("not one JSON value") end
            | [$paths[] as $path | getpath($path)
               | if . == null or type == "string" then . else error("\($path | join(".")) is not a string") end]
            | map(select(. != null))[0] // empty
        ' "$1" 2>&1
    else
        python3 -I -c '
import json, sys
try:
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    found = []
    for path in json.loads(sys.argv[2]):
        value = document
        for name in path:
            value = None if value is None else value.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(".".join(path) + " is not a string")
        found.append(value)
except (AttributeError, ValueError) as problem:
    sys.exit(str(problem))
for value in found:
    if value is not None:
        sys.stdout.buffer.write(value.encode() + b"\n")
        break
' "$1" "$2" 2>&1
    fi
}

# Put the database that a phase connects to into $database.
choose_database() {
    local paths default=
    paths="[\"aurora\", \"phases\", \"$phase\", \"connection_db\"]"
    case $phase in
    database | inspection | teardown)
        default=postgres
        ;;
    schema | data | verification)
        paths+=', ["aurora", "databaseName"], ["aurora", "phases", "schema", "connection_db"]'
        default=multitenant_analytics
        ;;
    esac
    database=$(first_string "$config" "[$paths]") || die "$config cannot be read as a configuration: $database"
    database=${database:-$default}
    [[ -n $database ]] || die "phase \"$phase\" has no database: set aurora.phases.$phase.connection_db in $config"
}

# Refuse whatever is not a plain file in its phase's own folder.
check_sql_file() {
    local file=$1 part
    [[ $file =~ ^sql/aurora/([A-Za-z0-9_-]+)/[A-Za-z0-9_-][A-Za-z0-9._-]*\.sql$ ]] ||
        die "not an SQL file of a phase: \"$file\"; expected sql/aurora/PHASE/FILE.sql, relative to the workspace root"
    phase=${BASH_REMATCH[1]}
    for part in sql sql/aurora "sql/aurora/$phase" "$file"; do
        [[ ! -L $part ]] || die "$part is a symbolic link; SQL is run from the workspace's own files only"
    done
    [[ -f $file && -r $file ]] ||
        die "cannot read $file in $PWD; run from the workspace root, or transfer the files first"
}

# confirm_teardown: refuse a file that destroys, unless the name of what it destroys was given again.
confirm_teardown() {
    local name
    [[ $phase == teardown ]] || return 0
    name=$(first_string "$config" '[["aurora", "databaseName"], ["aurora", "phases", "schema", "connection_db"]]') ||
        die "$config cannot be read as a configuration: $name"
    name=${name:-multitenant_analytics}
    [[ ${CONFIRM_DATABASE:-} == "$name" ]] || die "$sql_file destroys the database $name with all its tenants." \
        "To do that, give its name again: CONFIRM_DATABASE=$(printf %q "$name") scripts/2-sql-execute.sh $config $sql_file"
}

# by_hand USER PASSWORD: write the pgpass file from a password in the clear.
by_hand() {
    local field line='*:*:*'
    for field in "$@"; do
        [[ $field != *[$'\r\n']* ]] || die "user and password cannot hold a line break: a pgpass file has no room for it"
        field=${field//\\/\\\\}
        line+=:${field//:/\\:}
    done
    printf '%s\n' "$line" >"$runtime/pgpass"
}

# sealed: write the pgpass file from the sealed handover.
sealed() {
    [[ -n ${AURORA_HANDOVER_KEY:-} && -n ${AURORA_SEALED_KEY:-} ]] ||
        die "AURORA_SEALED needs AURORA_HANDOVER_KEY and AURORA_SEALED_KEY too"
    [[ -r $AURORA_HANDOVER_KEY ]] ||
        die "the handover key $AURORA_HANDOVER_KEY is not there: it goes away with its run; start a new run"
    command -v openssl >/dev/null || die "openssl is not installed; it opens the sealed handover"
    [[ $(openssl enc -help 2>&1 || true) == *-pbkdf2* ]] ||
        die "$(openssl version) cannot open the sealed handover (no -pbkdf2): install openssl 1.1.1 or newer" \
            "(on Amazon Linux 2: sudo yum install openssl11, and make it the first openssl in PATH)"
    local line
    if ! {
        printf '%s' "$AURORA_SEALED_KEY" | base64 -d >"$runtime/peer.der" &&
            openssl pkeyutl -derive -inkey "$AURORA_HANDOVER_KEY" -peerkey "$runtime/peer.der" -peerform DER |
            base64 -w 0 >"$runtime/passphrase" &&
            printf '%s' "$AURORA_SEALED" | base64 -d |
            openssl enc -d -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 \
                -pass "file:$runtime/passphrase" >"$runtime/pgpass" &&
            IFS= read -r line <"$runtime/pgpass" && [[ $line == '*:*:*:'* ]]
    } 2>/dev/null; then
        die "the sealed handover cannot be opened with $AURORA_HANDOVER_KEY: it was sealed to another key, or damaged"
    fi
    rm -f -- "$runtime/passphrase" "$runtime/peer.der"
}

# opened: write the pgpass file from the open file that holds its line; psql does not inherit that.
opened() {
    local line
    [[ $AURORA_PGPASS_FD =~ ^[3-9]$ ]] || die "AURORA_PGPASS_FD is not the number of an open file: \"$AURORA_PGPASS_FD\""
    { IFS= read -r line <&"$AURORA_PGPASS_FD"; } 2>/dev/null && [[ $line == '*:*:*:'* ]] ||
        die "there is no pgpass line in the open file $AURORA_PGPASS_FD"
    exec {AURORA_PGPASS_FD}<&-
    printf '%s\n' "$line" >"$runtime/pgpass"
}

# Wait for the database: a paused Serverless v2 cluster resumes at the first connection, in 15 to 30 seconds or more.
# A server that starts again, as after a crash, refuses for a while (PostgreSQL manual, error 57P03, cannot_connect_now).
# Only these are tried again; any other failure is psql's to tell, once.
await_database() {
    local attempt status said started=$SECONDS
    for ((attempt = 1; ; attempt++)); do
        status=0
        psql -X -w -q -c '' </dev/null >/dev/null 2>"$runtime/said" &
        psql_pid=$!
        wait "$psql_pid" || status=$?
        psql_pid=
        said=$(<"$runtime/said")
        rm -f -- "$runtime/said"
        if ((status != 0 && SECONDS - started < CONNECT_ATTEMPTS * PGCONNECT_TIMEOUT)) && [[ $said == *"FATAL:  the database system is "* ]]; then
            ((attempt > 1)) || info "$PGHOST:$PGPORT is starting: waiting"
            sleep 1
            continue
        fi
        if ((status == 0 || attempt >= CONNECT_ATTEMPTS)) || [[ $said != *"timeout expired"* ]]; then
            break
        fi
        ((attempt > 1)) || info "no answer from $PGHOST:$PGPORT in $PGCONNECT_TIMEOUT s; a paused cluster resumes now: waiting"
    done
    if ((status != 0)); then
        printf '%s\n' "$said" >&2
        error "no connection to $PGDATABASE at $PGHOST:$PGPORT as $PGUSER after $((SECONDS - started)) s;" \
            "psql's message is above"
    elif ((attempt > 1)); then
        warning "the database answered after $((SECONDS - started)) s only: it was paused or starting, or the network is slow"
    fi
    return "$status"
}

# Leave the connection in the variables that libpq reads, and a pgpass file.
prepare_connection() {
    local name
    for name in AURORA_ENDPOINT AURORA_USER; do
        [[ -n ${!name:-} ]] || die "$name is not set; see the head of scripts/2-sql-execute.sh"
    done
    [[ ${LOCK_TIMEOUT:=60} =~ ^[1-9][0-9]{0,5}$ ]] || die "LOCK_TIMEOUT is no number of seconds: \"$LOCK_TIMEOUT\""
    [[ ${AURORA_PORT:=5432} =~ ^[0-9]{1,5}$ ]] || die "AURORA_PORT is not a port: \"$AURORA_PORT\""

    runtime=$(mktemp -d "${AURORA_RUNTIME_DIR:-${TMPDIR:-/tmp}}/2-sql-execute.XXXXXXXX") ||
        die "cannot make a private directory in ${AURORA_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
    if [[ -n ${AURORA_PGPASS_FD:-} ]]; then
        opened
    elif [[ -n ${AURORA_SEALED:-} ]]; then
        sealed
    elif [[ -n ${AURORA_PASSWORD:-} ]]; then
        by_hand "$AURORA_USER" "$AURORA_PASSWORD"
    else
        die "AURORA_PASSWORD is not set; read it without leaving it in the shell's history:" \
            "read -rs AURORA_PASSWORD && export AURORA_PASSWORD"
    fi

    export PGHOST=$AURORA_ENDPOINT PGPORT=$AURORA_PORT PGUSER=$AURORA_USER PGPASSFILE=$runtime/pgpass
    # The name is this engine's alone, by which it finds its own session among others. What builds, and what looks again at the
    # end of each phase of a build, tells others that a run builds here (sql/aurora/inspection/await-build.sql).
    export PGAPPNAME=${runtime##*/}
    [[ -z ${AURORA_NEXT:-} && $phase =~ ^(inspection|verification)$ ]] || PGAPPNAME+=" building"
    export PGCLIENTENCODING=UTF8 PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-15}
    # In the environment, not by -d: psql takes an argument with "=" or "://" for a connection string.
    export PGDATABASE=$database
    [[ -z ${AURORA_SSLMODE:-} ]] || export PGSSLMODE=$AURORA_SSLMODE
    [[ -z ${AURORA_SSLROOTCERT:-} ]] || export PGSSLROOTCERT=$AURORA_SSLROOTCERT
    # Secrets are not psql's to know, and these four would win over what was asked for.
    unset AURORA_PASSWORD AURORA_SEALED AURORA_SEALED_KEY AURORA_HANDOVER_KEY AURORA_PGPASS_FD
    unset PGPASSWORD PGHOSTADDR PGSERVICE PGSERVICEFILE
    export PGOPTIONS="-c lock_timeout=${LOCK_TIMEOUT}s ${PGOPTIONS:-}"
}

# watch_locks: while psql runs, keep in $runtime/holder who holds the lock that it waits for. A session that waits cannot
# ask, and one that gave up no longer waits. What runs for less than a sixth of LOCK_TIMEOUT is not watched.
watch_locks() {
    local seen never watched=$PGAPPNAME
    export PGAPPNAME="watch $watched" PGPASSFILE=/dev/fd/$pgpass
    exec {never}<> <(:)
    while read -rt $((LOCK_TIMEOUT / 6 + 1)) -u "$never" || kill -0 "$psql_pid"; do
        seen=$(psql -X -w -q -A -t -v ON_ERROR_STOP=1 -v watched="$watched" -v least=$((LOCK_TIMEOUT / 2)) \
            -f sql/shared/lock-holder.sql) || continue
        [[ -z $seen ]] || printf '%s\n' "$seen" >"$runtime/holder"
    done
}

# connects_again FILE [DEPTH]: whether FILE, or one it includes, holds a \connect, wherever on its line; also where that
# cannot be seen.
connects_again() {
    local text name depth=${2:-0} connects='\\c(onnect)?([[:space:]\\]|$)'
    local includes='\\(i|ir|include|include_relative)[[:blank:]]+([^[:space:]\\]+)'
    [[ -f $1 && $depth -lt 8 ]] || return 0
    text=$(<"$1")
    [[ ! $text =~ $connects ]] || return 0
    while [[ $text =~ $includes ]]; do
        text=${text#*"${BASH_REMATCH[0]}"} name=${BASH_REMATCH[2]//\'/}
        [[ ${BASH_REMATCH[1]} != *r* ]] || name=${1%/*}/$name
        ! connects_again "$name" $((depth + 1)) || return 0
    done
    return 1
}

# Run psql and report how it went.
execute() {
    # The first command runs as soon as the connection stands; from there on no secret is on disk, and none is left
    # there should this script be killed. A file that connects once more needs it a second time, and keeps it to its end.
    # shellcheck disable=SC2016  # psql's shell expands it: a path is not pasted into a command
    local status=0 pgpass once_connected='\! rm -f -- "$PGPASSFILE"' observing=no handed_on=(-v config_file="$config") files=(-f "$sql_file")
    ! connects_again "$sql_file" || once_connected='\! :'
    # Whoever only looks makes temporary objects, and nothing that a commit would have to wait for the disk for.
    case $phase in
    inspection | verification)
        export PGOPTIONS="${PGOPTIONS:-} -c default_transaction_read_only=on -c synchronous_commit=off"
        ;;
    esac
    if [[ $phase == verification ]]; then
        [[ $(<"$sql_file") != *shared/observation.sql* ]] || observing=yes
        files=(-v observing="$observing" -f sql/shared/read-only.sql -f "$sql_file" -f sql/shared/still-read-only.sql)
    fi
    [[ -z ${ONLY_TENANTS:-} ]] || handed_on+=(-v only_tenants="$ONLY_TENANTS")
    [[ -z ${RUN_ID:-} ]] || handed_on+=(-v run="$RUN_ID")
    [[ -z ${AURORA_NEXT:-} ]] || files+=(-f "$AURORA_NEXT")
    exec {pgpass}<"$PGPASSFILE" # for watch_locks: the file itself goes away
    psql -X -w -q -v ON_ERROR_STOP=1 "${handed_on[@]}" \
        -c "$once_connected" "${files[@]}" </dev/null {pgpass}<&- &
    psql_pid=$!
    watch_locks </dev/null >/dev/null 2>&1 &
    watcher=$!
    wait "$psql_pid" || status=$?
    psql_pid=
    [[ $status != 3 || ! -s $runtime/holder ]] || printf '[LOCK] %s\n' "$(<"$runtime/holder")" >&2
    case $status in
    0) info "done in $SECONDS s" ;;
    2) error "no connection to $PGDATABASE at $PGHOST:$PGPORT as $PGUSER, or it was lost; psql's message is above" ;;
    3) error "SQL error in phase $phase; psql's message above names file and line" ;;
    *) error "psql ended with status $status" ;;
    esac
    return "$status"
}

main() {
    (($# == 2)) || die "usage: scripts/2-sql-execute.sh CONFIG.json sql/aurora/PHASE/FILE.sql"
    config=$1 sql_file=$2
    [[ -f $config && -r $config ]] || die "cannot read the configuration \"$config\" in $PWD"
    check_sql_file "$sql_file"
    command -v jq >/dev/null || command -v python3 >/dev/null ||
        die "neither jq nor python3 is installed; one of them reads $config"
    command -v psql >/dev/null ||
        die "psql is not installed; on Amazon Linux 2023: sudo dnf install -y postgresql16"
    choose_database
    confirm_teardown

    trap cleanup EXIT
    trap 'interrupted HUP 129' HUP
    trap 'interrupted INT 130' INT
    trap 'interrupted TERM 143' TERM
    prepare_connection
    info "phase $phase: $sql_file"
    info "database $database at $PGHOST:$PGPORT as $PGUSER"
    [[ -n ${DATABASE_ANSWERED:-} ]] || await_database
    execute
}

main "$@"
