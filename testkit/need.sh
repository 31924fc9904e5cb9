# Sourced by scripts that install what they need.

# A package of Debian's for a command that is not there. Where there is no apt, it fails and says so.
need() { # COMMAND PACKAGE...
    command -v "$1" >/dev/null && return
    shift
    command -v apt-get >/dev/null || { echo "$* is needed"; return 1; }
    { [ -n "${apt_updated:-}" ] || apt-get update -qq; } && apt_updated=1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
