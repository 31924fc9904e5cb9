#!/usr/bin/env bash
# restate-sdk 0.13.0 (crates.io): its HTTP server drains at SIGINT; SIGTERM, which its documentation names, kills it.
#
# `HttpServer::serve` is documented to complete once SIGTERM is sent to the process, which is what systemd, containers and
# Kubernetes send. It listens to SIGINT alone. So at a deployment the process dies at once, with all work that
# it has in hand. Seen:
#
#> SIGINT: the program goes on after the server, and ends with 0
#> SIGTERM: the program ends with 143
#
# What it means for a client of the device grant: each deployment kills the polls in flight, and the token in an answer that
# was not stored is lost. Give `serve_with_cancel` a future that completes at SIGTERM.
#
# What ours does: the example in engines/restate does that, and gives out no permit to poll after the signal.
source "$(dirname "$0")/common/script.sh"

mkdir "$work/src"
cat >"$work/Cargo.toml" <<'END_OF_FILE'
[package]
name = "finding"
edition = "2024"
[dependencies]
restate-sdk = { version = "=0.13.0", default-features = false, features = ["http_server", "rust_crypto"] }
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
[profile.dev]
debug = false
END_OF_FILE
cat >"$work/src/main.rs" <<'END_OF_PROGRAM'
use restate_sdk::prelude::*;

struct Nothing;

#[service]
impl Nothing {
    #[handler]
    async fn nothing(&self, _ctx: Context<'_>) -> HandlerResult<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    HttpServer::new(Endpoint::builder().bind(Nothing).build()).listen_and_serve(address).await;
    println!("went on");
}
END_OF_PROGRAM
cd "$work"
quietly 900 cargo build --quiet
cargo tree --quiet --depth 0 -p restate-sdk -e normal
{
  for signal in INT TERM; do
    port=$(free_port)
    serve "$port" "$work/target/debug/finding" "$port"
    # The shell starts what is in the background with SIGINT ignored; whoever asks for the signal gets it all the same.
    kill "-$signal" "${started[-1]}"
    code=0
    wait "${started[-1]}" 2>"$work/kill.log" || code=$?
    on=$(grep -q 'went on' "$work/server-$port.log" && echo ' goes on after the server, and' || true)
    echo "SIG$signal: the program$on ends with $code"
  done
} >"$work/all"
as_stated <"$work/all"
