#!/usr/bin/env bash
# Make the cluster on the first start, then become the server given as the command line: postgres [OPTION]...
# Environment: POSTGRES_USER (default postgres), and POSTGRES_PASSWORD_FILE, which only root need be able to read.
set -euo pipefail
umask 077

shopt -s nullglob
programs=(/usr/lib/postgresql/*/bin)
export PATH="${programs[-1]}:$PATH"
export PGDATA=/var/lib/postgresql/data
socket=/var/run/postgresql

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }

install -d -o postgres -g postgres -m 700 "$PGDATA"
install -d -o postgres -g postgres -m 755 "$socket"
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    password=$(mktemp "$socket/password.XXXXXX")
    trap 'rm -f "$password"' EXIT
    cat "${POSTGRES_PASSWORD_FILE:?names the file that holds the password}" >"$password"
    chown postgres: "$password"
    as_postgres initdb --username="${POSTGRES_USER:-postgres}" --pwfile="$password" \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-instructions
    rm -f "$password"
    trap - EXIT
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi

(($#)) || set -- postgres
exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@" -c listen_addresses='*'
