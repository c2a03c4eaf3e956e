# shellcheck shell=bash disable=SC2154
# The first command of a run: what the bastion has, and a key of this run's own for the sealed credentials.
# Given by the suite: DIGEST and MANIFEST, of the archive this run would use; ORPHANS, the runs of this project whose
# process on the operator's machine is gone.
open_run() {
    local state part file
    remove_orphans
    remove_parts_of_nobody
    # Delete what else killed runs left more than a day ago, where it carries our mark or is empty; what a person named alike stays.
    find "${RUNTIME%/*}" "${WORKSPACE%/*}" -maxdepth 1 -type d -user "$(id -u)" -mmin +1440 \
        \( -name "${RUNTIME_PREFIX:?}*" -o -name "${WORKSPACE##*/}.parts-*" \
        -o -name "${WORKSPACE##*/}.new-??????" -o -name "${WORKSPACE##*/}.old-??????" \) \
        \( -exec test -f {}/.etl-manager \; -o -exec test -d {}/.transfer \; -o -empty \) -print0 2>/dev/null |
        while IFS= read -rd '' part; do
            made_today "$part" || rm -rf "$part"
        done
    state=$(state_of_workspace)
    fact workspace "$state"
    fact owner "$(stat -c %U "$WORKSPACE" 2>/dev/null)"
    if [[ $state == made ]]; then
        fact digest "$(digest_of_workspace)"
        if intact; then fact manifest intact; else fact manifest changed; fi
        while IFS= read -r file; do
            fact edited "$file"
        done < <(edited_files | head -n 21)
    fi
    for part in "$WORKSPACE.parts-${DIGEST:?}"/*; do
        [[ -f $part && -O ${part%/*} && ! -L ${part%/*} ]] && fact part "${part##*/}:$(sha256sum <"$part" | cut -d' ' -f1)"
    done
    fact user "$(id -un)"
    fact psql "$(psql --version 2>/dev/null)"
    fact json "$(command -v jq python3 2>/dev/null | head -n 1)"
    fact openssl "$(openssl version 2>/dev/null)"
    fact curl "$(command -v curl)"
    fact xz "$(xz --version 2>/dev/null)"
    if [[ ! -s $RUNTIME/key.pem ]]; then
        # This command may run twice at once: the first to link its key wins.
        part=$(mktemp "$RUNTIME/key.XXXXXX") &&
            openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$part" 2>/dev/null &&
            ln "$part" "$RUNTIME/key.pem" 2>/dev/null
        rm -f "$part"
    fi
    openssl pkey -in "$RUNTIME/key.pem" -pubout 2>/dev/null
    return 0
}

# made_today FOLDER: whether the machine has been up for less than a day since. Its clock may have been set: by that alone
# the folder of a living run may look old.
made_today() {
    local made now
    read -r made 2>/dev/null <"$1/.etl-manager" && [[ $made =~ ^[0-9]{1,9}$ ]] && IFS=. read -r now _ </proc/uptime &&
        ((made <= now && now - made < 86400))
}

# remove_orphans: what runs left that were killed: their processes and their folders with the keys.
remove_orphans() {
    local run folder
    for run in ${ORPHANS:-}; do
        folder=${RUNTIME%/*}/${RUNTIME_PREFIX:?}$run
        [[ -d $folder && -O $folder && ! -L $folder ]] || continue
        end_processes "$folder"
        rm -rf "$folder"
    done
}

# remove_parts_of_nobody: parts of another archive that no run on this bastion has sent, and workspaces that nobody unpacks.
remove_parts_of_nobody() {
    local folder run
    for folder in "$WORKSPACE".parts-*; do
        [[ -f $folder/.etl-manager && -O $folder && ! -L $folder && $folder != "$WORKSPACE.parts-${DIGEST:?}" ]] || continue
        for run in "$folder"/.run-*; do
            [[ -e $run && ! -d ${RUNTIME%/*}/$RUNTIME_PREFIX${run##*/.run-} ]] || continue 2
        done
        rm -rf "$folder"
    done
    (
        flock -n 9 || exit 0
        for folder in "$WORKSPACE".new-?????? "$WORKSPACE".old-??????; do
            [[ -d $folder/.transfer && -O $folder && ! -L $folder ]] && rm -rf "$folder"
        done
    ) 9<"${WORKSPACE%/*}" 2>/dev/null
}

# Files of the workspace that were changed, deleted or added since it was made.
edited_files() (
    list=.transfer/manifest
    cd "$WORKSPACE" || return
    [[ -f $list ]] || list=/dev/null
    {
        while IFS= read -r line; do
            if [[ -f ${line:66} ]]; then echo "$line"; else echo "${line:68}" >&3; fi
        done <"$list" | sha256sum --quiet --check 2>/dev/null | sed -n 's/^\.\/\(.*\): FAILED.*/\1/p'
    } 3>&1
    comm -13 <(cut -c 67- "$list" | sort) <(find . -type f ! -path './.transfer/*' | sort) | cut -c 3-
)
