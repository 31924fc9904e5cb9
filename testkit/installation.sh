# Owns what the installations of foreign packages share: one at a time, nothing when they are up to date, and npm and
# pip.
#
# Sourced by servers/install.sh and msal/install.sh, with `sources` set to their folder and `into` to the folder to
# install into.

# Enters the folder, and ends the script there when these sources and this Python of at least that version made what is
# in it.
begin() { # PYTHON-MINOR-VERSION SOURCE...
  mkdir -p "$into"
  cd "$into"
  # Several test programs may ask at once. Where there is no flock (macOS), run the script once before them.
  if command -v flock >/dev/null; then
    exec 9>lock
    flock 9
  fi
  # A virtual environment also breaks when its Python changes or its folder moves.
  stamp=$(python3 -I - "$PWD" "$1" "$sources/../installation.sh" "${@:2}" <<'PYTHON'
import hashlib, sys
assert sys.version_info >= (3, int(sys.argv[2])), f"python3 must be 3.{sys.argv[2]} or newer, this is {sys.version}"
digest = hashlib.sha256(f"{sys.version} {sys.executable} {sys.argv[1]}".encode())
for name in sys.argv[3:]:
    digest.update(open(name, "rb").read())
print(digest.hexdigest())
PYTHON
  )
  if [[ -f stamp && $(<stamp) == "$stamp" ]]; then exit; fi
  rm -rf stamp node_modules venv
}

# The scripts of the npm packages are not run: they fetch binaries that are not used here.
packages() {
  cp "$sources"/package.json "$sources"/package-lock.json .
  npm ci --no-audit --no-fund --ignore-scripts
  python3 -m venv venv
  venv/bin/python -m pip install --quiet --no-deps --requirement "$sources/requirements.txt"
  venv/bin/python -m pip check
}

finish() {
  printf '%s\n' "$stamp" >stamp
}
