# shellcheck shell=bash disable=SC2154
# Parts of the archive arrive; when all are there they are checked, unpacked beside the workspace and swapped in.
# Given by the suite: DIGEST, MANIFEST and ARCHIVE_SHA256, PARTS (how many there are); and receive NUMBER, the part on stdin.
PARTS_FOLDER=$WORKSPACE.parts-${DIGEST:?}

parts_folder() {
    (umask 022 && mkdir -p "${WORKSPACE%/*}")
    [[ -d $PARTS_FOLDER ]] || make_folder "$PARTS_FOLDER"
    [[ -O $PARTS_FOLDER && ! -L $PARTS_FOLDER ]] || return 71
    # Whose they are: as long as a run of these has its folder they stay.
    : 2>/dev/null >"$PARTS_FOLDER/.run-${RUNTIME##*-}" || return 74
}

receive() {
    local part
    parts_folder || return
    # 74, here too, where another run with the same archive was first, and has deleted the folder.
    part=$(mktemp "$PARTS_FOLDER/.part-XXXXXX") && base64 -d >"$part" && mv "$part" "$PARTS_FOLDER/$1" || return 74
}

# The lock orders runs on one bastion: they may have the same parts. Without flock the renames still never leave half a
# workspace.
unpack() {
    (
        if command -v flock >/dev/null; then flock -w 60 9 || exit 76; fi
        unpack_alone
    ) 9<"${WORKSPACE%/*}"
}

# The workspace is never half there: a whole new one is made first, and two renames put it in place.
unpack_alone() {
    local new old number state
    state=$(state_of_workspace)
    [[ $state == absent || $state == empty || $state == made ]] || {
        echo "workspace $WORKSPACE: $state, left alone" >&2
        return 73
    }
    if [[ $state == made && $(digest_of_workspace) == "$DIGEST" ]] && intact; then
        rm -rf "$PARTS_FOLDER" # another run with the same archive was first
        fact transferred "$DIGEST"
        return 0
    fi
    for ((number = 1; number <= PARTS; number++)); do
        [[ -f $PARTS_FOLDER/$number ]] && cat "$PARTS_FOLDER/$number" || return 74
    done >"$PARTS_FOLDER/.archive"
    echo "${ARCHIVE_SHA256:?}  $PARTS_FOLDER/.archive" | sha256sum --quiet --check >&2 || {
        rm -rf "$PARTS_FOLDER"
        return 74
    }
    new=$(mktemp -d "$WORKSPACE.new-XXXXXX") && old=$(mktemp -d "$WORKSPACE.old-XXXXXX") || return 75
    # A person who logs in on the bastion is another user, and runs the engine from here too: all may read.
    (
        umask 022
        mkdir "$new/.transfer" && chmod 755 "$new" && cd "$new" &&
            tar -xpf "$PARTS_FOLDER/.archive" --no-same-owner &&
            find . -type f ! -path './.transfer/*' -exec sha256sum {} + >.transfer/manifest &&
            echo "$DIGEST" >.transfer/digest
    ) || return 75
    # Touched: by its age it differs from what killed runs left.
    if [[ $state != absent ]]; then mv -T "$WORKSPACE" "$old" && touch "$old" || return 76; fi
    mv -T "$new" "$WORKSPACE" || { mv -T "$old" "$WORKSPACE"; return 76; }
    rm -rf "$old" "$PARTS_FOLDER"
    fact transferred "$DIGEST"
}
