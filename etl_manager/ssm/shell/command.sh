# shellcheck shell=bash disable=SC2154
# A command of the user's own. The engine opens the sealed handover by itself; any other psql finds the connection in
# libpq's own variables. Given by the suite: the AURORA_* variables.
unseal "$AURORA_SEALED_KEY" "$AURORA_SEALED" >"$RUNTIME/pgpass"
export PGHOST=$AURORA_ENDPOINT PGPORT=$AURORA_PORT PGUSER=$AURORA_USER PGPASSFILE=$RUNTIME/pgpass
export PGSSLMODE=$AURORA_SSLMODE ${AURORA_SSLROOTCERT:+PGSSLROOTCERT="$AURORA_SSLROOTCERT"}

# upload NAME: take in a script, packed, on stdin.
upload() {
    mkdir "$RUNTIME/upload" && export UPLOADED=$RUNTIME/upload/$1 &&
        base64 -d | gzip -d >"$UPLOADED"
}

# run_line LINE: let a shell read it. Where the workspace cannot be executed (mounted noexec), each of its shell scripts
# is a function of that shell, so that a line that calls one by its path runs as everywhere.
run_line() {
    local script functions=
    for script in scripts/*.sh; do
        [[ $script =~ ^scripts/[A-Za-z0-9._-]+$ && -f $script && ! -x $script ]] &&
            functions+="function $script { bash $script \"\$@\"; }; function ./$script { bash $script \"\$@\"; }; "
    done
    bash -c "$functions$1"
}
