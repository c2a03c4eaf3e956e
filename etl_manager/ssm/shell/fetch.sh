# shellcheck shell=bash disable=SC2154
# Another page of an output that was longer than SSM keeps. Given by the suite: REMAINDER, OFFSET.
fetch() {
    [[ ${REMAINDER:?} =~ ^out\.[A-Za-z0-9]+$ && -f $RUNTIME/$REMAINDER ]] || { echo "no output $REMAINDER" >&2; return 74; }
    # In this order both read to the end: a tail whose reader leaves early would fail the pipe.
    head -c "$((OFFSET + LIMIT))" "$RUNTIME/$REMAINDER" | tail -c "+$((OFFSET + 1))"
}
