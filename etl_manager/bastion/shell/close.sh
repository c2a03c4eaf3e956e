# shellcheck shell=bash disable=SC2154
# The last command of a run: the key and all that was kept for it go away.
close_run() { rm -rf "$RUNTIME"; }
