# shellcheck shell=bash disable=SC2154
# How far another command of this run is: the file it runs, what its SQL said last of its progress, and how many seconds ago that
# was; the seconds since the file began where it said nothing. Nothing where no file runs now.
progress() {
    local running
    for running in "$RUNTIME"/out.*.running; do
        [[ -f $running ]] || continue
        fact file "$(<"$running")"
        fact idle $(($(date +%s) - $(stat -c %Y "${running%.*}.progress")))
        fact said "$(tail -n 1 "${running%.*}.progress")"
    done
}
