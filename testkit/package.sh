#!/usr/bin/env bash
# Makes the Debian package below target/debian, and, as root, installs it, uses it and removes it again.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-deb >/dev/null || cargo install -q --locked --debug cargo-deb
cargo build -q --release -p device-flow-cli --bin device-flow
made=target/package binary=target/release/device-flow
rm -rf "$made" target/debian && mkdir -p "$made/man1"
"$binary" man --to "$made/man1" >/dev/null
"$binary" completions bash >"$made/device-flow.bash"
"$binary" completions zsh >"$made/_device-flow"
"$binary" completions fish >"$made/device-flow.fish"
cargo deb -q --no-build -p device-flow-cli
package=$(echo target/debian/*.deb)
dpkg-deb --info "$package" | grep -E '^ (Package|Version|Depends|Installed-Size):'
[ "$(id -u)" -eq 0 ] || exit 0

fail() {
    echo "package: $*" >&2
    exit 1
}
dpkg -i "$package" >/dev/null
trap 'dpkg -r device-flow >/dev/null' EXIT
home=$(mktemp -d) contents=$(dpkg-deb --contents "$package")
person=(env -i PATH=/usr/bin:/bin HOME="$home" LANG=C.UTF-8)
[[ $("${person[@]}" device-flow --version) == "device-flow 0."* ]] || fail "it does not start"
[[ $("${person[@]}" device-flow demo --yes 2>/dev/null) == *"Ada Demo"* ]] || fail "it does not sign in"
for file in man/man1/device-flow-login.1.gz bash-completion/completions/device-flow zsh/vendor-completions/_device-flow \
    fish/vendor_completions.d/device-flow.fish doc/device-flow/copyright; do
    # Minimal systems are told to install no documentation.
    [ -e "/usr/share/$file" ] || grep -rqs path-exclude /etc/dpkg/dpkg.cfg.d || fail "there is no $file"
    grep -q "usr/share/$file" <<<"$contents" || fail "$file is not in it"
done
dpkg -r device-flow >/dev/null
trap - EXIT
[ ! -e /usr/bin/device-flow ] || fail "it stays behind"
echo "package: installed, signed in with, and removed"
