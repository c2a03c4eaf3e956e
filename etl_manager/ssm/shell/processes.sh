# shellcheck shell=bash
# end_processes FOLDER: end what works in the folder of a run: what has a file of it open, or stands in it. This shell does too.
end_processes() {
    local found attempt
    for attempt in 1 2 3 4 5; do
        found=$(find /proc/[0-9]*/cwd /proc/[0-9]*/fd -lname "$1/*" 2>/dev/null | cut -d/ -f3 | sort -u | grep -vx "$$")
        [[ -n $found ]] || return 0
        # shellcheck disable=SC2086 # numbers
        kill -KILL $found 2>/dev/null
        sleep "0.0$attempt"
    done
}
