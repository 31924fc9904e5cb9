#!/usr/bin/env bash
# Builds the libraries and installs them with the header and the pkg-config file:
#
#   bindings-c/install.sh PREFIX        PREFIX/include/device_flow.h, PREFIX/lib/libdevice_flow.{a,so}, pkgconfig/
#
# DESTDIR is put before PREFIX, as packagers expect. A panic, which there is none, would abort: the release profile says so.
set -euo pipefail
prefix=${1:?the folder to install into, such as /usr/local}
cd "$(dirname "$0")"
into=${DESTDIR:-}$prefix
version=$(cargo metadata --format-version 1 --no-deps | sed -E 's/.*"name":"device-flow-c","version":"([^"]*)".*/\1/')
soname=libdevice_flow.so.${version%%.*}
out=$(cargo metadata --format-version 1 --no-deps | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')/release

shared=(--crate-type cdylib)
[ "$(uname)" != Linux ] || shared+=(-- -C "link-arg=-Wl,-soname,$soname")
cargo rustc -q --release --lib "${shared[@]}"
mkdir -p "$into/lib/pkgconfig" "$into/include"
if [ "$(uname)" = Linux ]; then
    install -m 755 "$out/libdevice_flow_c.so" "$into/lib/libdevice_flow.so.$version"
    ln -sf "libdevice_flow.so.$version" "$into/lib/$soname"
    ln -sf "$soname" "$into/lib/libdevice_flow.so"
else
    install -m 755 "$out/libdevice_flow_c.dylib" "$into/lib/libdevice_flow.dylib"
fi
# What a program that links the static library needs besides.
needs=$(cargo rustc -q --release --lib --crate-type staticlib -- --print native-static-libs 2>&1 | sed -n 's/^note: native-static-libs: //p' | tail -n 1)
install -m 644 "$out/libdevice_flow_c.a" "$into/lib/libdevice_flow.a"
install -m 644 include/device_flow.h "$into/include/device_flow.h"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" -e "s|@PRIVATE@|$needs|" device-flow.pc.in >"$into/lib/pkgconfig/device-flow.pc"
chmod 644 "$into/lib/pkgconfig/device-flow.pc"
echo "installed device-flow $version into $into"
