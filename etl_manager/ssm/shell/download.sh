# shellcheck shell=bash disable=SC2154
# The whole archive is fetched from a presigned URL, as its only part. The URL is a secret: it is sealed, and curl reads
# it from a file, since every user can read arguments.
# Given by the suite: SEALED_URL_KEY, SEALED_URL.
download() {
    local status=72
    parts_folder || return
    unseal "$SEALED_URL_KEY" "$SEALED_URL" >"$RUNTIME/url"
    if curl --silent --show-error --fail --proto '=http,https' --retry 3 --connect-timeout 10 --max-time 600 \
        --config "$RUNTIME/url" --output "$PARTS_FOLDER/.1"; then
        mv "$PARTS_FOLDER/.1" "$PARTS_FOLDER/1" && status=0
    fi
    rm -f "$RUNTIME/url" "$PARTS_FOLDER/.1"
    return "$status"
}
