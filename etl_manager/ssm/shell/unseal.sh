# shellcheck shell=bash disable=SC2154
# unseal KEY BODY: open what was sealed to this run's key, and print it.
unseal() {
    printf '%s' "$1" | base64 -d >"$RUNTIME/peer.der"
    openssl pkeyutl -derive -inkey "$RUNTIME/key.pem" -peerkey "$RUNTIME/peer.der" -peerform DER |
        base64 -w 0 >"$RUNTIME/passphrase"
    printf '%s' "$2" | base64 -d |
        openssl enc -d -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass "file:$RUNTIME/passphrase"
    rm -f "$RUNTIME/passphrase" "$RUNTIME/peer.der"
}
