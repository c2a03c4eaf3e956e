# shellcheck shell=bash disable=SC2154
# unseal KEY BODY: open what was sealed to this run's key, and print it.
unseal() {
    printf '%s' "$1" | base64 -d |
        openssl pkeyutl -decrypt -inkey "$RUNTIME/key.pem" -pkeyopt rsa_padding_mode:oaep \
            -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 >"$RUNTIME/passphrase"
    printf '%s' "$2" | base64 -d |
        openssl enc -d -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass "file:$RUNTIME/passphrase"
    rm -f "$RUNTIME/passphrase"
}
