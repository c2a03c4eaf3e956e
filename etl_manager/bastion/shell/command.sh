# shellcheck shell=bash disable=SC2154
# A command of the user's own, which may not be safe to repeat: it runs at most once. SSM may be given a command
# twice when an answer is lost on the network; this run's key is the right to run, and whoever takes it first has it.
# Given by the suite: the AURORA_* variables.
mv "${AURORA_HANDOVER_KEY:?}" "$RUNTIME/taken.pem" 2>/dev/null || {
    finish 77
    rmdir "$RUNTIME" 2>/dev/null
    exit 77
}
export AURORA_HANDOVER_KEY=$RUNTIME/taken.pem

# The engine opens the sealed handover by itself. Any other psql finds the connection in libpq's own variables.
printf '%s' "$AURORA_SEALED_KEY" | base64 -d |
    openssl pkeyutl -decrypt -inkey "$AURORA_HANDOVER_KEY" -pkeyopt rsa_padding_mode:oaep \
        -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 >"$RUNTIME/passphrase"
printf '%s' "$AURORA_SEALED" | base64 -d |
    openssl enc -d -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass "file:$RUNTIME/passphrase" >"$RUNTIME/pgpass"
rm -f "$RUNTIME/passphrase"
export PGHOST=$AURORA_ENDPOINT PGPORT=$AURORA_PORT PGUSER=$AURORA_USER PGPASSFILE=$RUNTIME/pgpass
export PGSSLMODE=$AURORA_SSLMODE ${AURORA_SSLROOTCERT:+PGSSLROOTCERT="$AURORA_SSLROOTCERT"}

# upload NAME: take in a script, packed, on stdin.
upload() {
    mkdir "$RUNTIME/upload" && export UPLOADED=$RUNTIME/upload/$1 &&
        base64 -d | gzip -d >"$UPLOADED" && chmod 700 "$UPLOADED"
}
