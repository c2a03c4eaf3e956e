# shellcheck shell=bash disable=SC2154
# A command of the user's own. The engine opens the sealed handover by itself; any other psql finds the connection in
# libpq's own variables. Given by the suite: the AURORA_* variables.
unseal "$AURORA_SEALED_KEY" "$AURORA_SEALED" >"$RUNTIME/pgpass"
export PGHOST=$AURORA_ENDPOINT PGPORT=$AURORA_PORT PGUSER=$AURORA_USER PGPASSFILE=$RUNTIME/pgpass
export PGSSLMODE=$AURORA_SSLMODE ${AURORA_SSLROOTCERT:+PGSSLROOTCERT="$AURORA_SSLROOTCERT"}

# upload NAME: take in a script, packed, on stdin.
upload() {
    mkdir "$RUNTIME/upload" && export UPLOADED=$RUNTIME/upload/$1 &&
        base64 -d | gzip -d >"$UPLOADED" && chmod 700 "$UPLOADED"
}
