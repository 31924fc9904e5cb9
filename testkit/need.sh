# Sourced by scripts that install what they need.

# A package of Debian's for a command that is not there. Where there is no apt, it fails and says so.
need() { # COMMAND PACKAGE...
    command -v "$1" >/dev/null && return
    shift
    command -v apt-get >/dev/null || { echo "$* is needed"; return 1; }
    # One at a time: apt gives up where another one runs.
    local apt=(env DEBIAN_FRONTEND=noninteractive flock "${TMPDIR:-/tmp}/device-flow-apt.lock" apt-get -qq)
    { [ -n "${apt_updated:-}" ] || "${apt[@]}" update; } && apt_updated=1
    "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
}
