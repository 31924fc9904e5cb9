"""Owns the matrix of clients and demo servers: starts one server for each behaviour, lets every client sign in to
each, and prints the judge's verdicts as the table of docs/other-clients.md. Ends with 1 when that table says something
else. Cells that differ are tried again before that: on a busy machine a client may look hasty, or late.

usage: python3 run.py DEVICE-FLOW OAUTH2-RS NODE-FOLDER VENV GO-PROGRAM [--print]
"""

import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "other-clients.md"
# The code ends half an interval after the last poll, so that the two do not meet.
INTERVAL, LIFETIME = 2, 51
# For a client, or for the verdict on it.
PATIENCE = 100
# How often a cell is tried that differs from the document.
ROUNDS = 3

SERVERS = {
    "approved": ["--decide", "approve"],
    "denied": ["--decide", "deny"],
    "`slow_down`": ["--decide", "approve", "--fault", "slow-down"],
    "no answer": ["--decide", "approve", "--fault", "hang-up"],
    "503": ["--decide", "approve", "--fault", "unavailable"],
    "429, `Retry-After`": ["--decide", "approve", "--fault", "retry-after"],
    "a late answer": ["--decide", "approve", "--fault", "late-answer"],
    "nobody decides": [],
}


def clients(device_flow, oauth2_rs, node, venv, go):
    """Name in the table, client id, and command for an issuer."""

    def ours(issuer):
        flags = ["--issuer", issuer, "--client-id", "device-flow", "--scope", "openid profile", "--allow-http-loopback"]
        return [device_flow, "login", *flags, "--store", "none"]

    def with_endpoints(program, client_id, *more):
        return lambda issuer: [program, client_id, f"{issuer}/device_authorization", f"{issuer}/token", *more]

    return [
        ("device-flow", "device-flow", ours),
        (
            "openid-client 6.8.9 (npm)",
            "openid-client",
            lambda issuer: ["node", f"{node}/openid_client.mjs", issuer, "openid-client"],
        ),
        ("golang.org/x/oauth2 v0.38.0", "go", with_endpoints(go, "go", "auto")),
        ("the same with `AuthStyleInParams`", "go-in-params", with_endpoints(go, "go-in-params", "params")),
        ("oauth2 5.0.0 (crates.io)", "oauth2-rs", with_endpoints(oauth2_rs, "oauth2-rs")),
        (
            "Authlib 1.9.9 (PyPI), our loop",
            "authlib",
            lambda issuer: [f"{venv}/bin/python", HERE / "authlib_client.py", issuer, "authlib"],
        ),
    ]


class Demo:
    """A demo server that judges; its verdicts by client."""

    def __init__(self, device_flow, flags):
        command = [device_flow, "demo", "--serve", "--judge", "--json", *flags]
        command += ["--interval", f"{INTERVAL}s", "--lifetime", f"{LIFETIME}s"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.issuer = json.loads(self.process.stdout.readline())["base_url"]
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.verdicts = {}

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def wait_for(self, number, until):
        while len(self.verdicts) < number:
            line = self.lines.get(timeout=max(0, until - time.monotonic()))
            if line["event"] == "verdict":
                self.verdicts[line["client_id"]] = line

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


def cell(word, verdict):
    broken = [f"`{rule['id']}`" for rule in verdict["rules"] if rule["verdict"] == "broken"]
    told = word if verdict["end"] == "signed_in" else f"ends: {word}"
    return f"{told}; breaks {', '.join(broken)}" if broken else told


def word_of(process):
    """The last line that a client prints, shortened to what is the same each time."""
    output, errors = process.communicate(timeout=PATIENCE)
    lines = [line for line in (output or errors).splitlines() if line.strip()]
    last = lines[-1] if lines else "nothing"
    if process.args[1:2] == ["login"]:
        return {0: "signed in", 3: "access_denied", 5: "expired"}.get(process.returncode, last)
    no_answer = ("EOF", "UND_ERR_SOCKET", "ECONNRESET", "ConnectionError")
    return "no answer" if last.endswith(no_answer) else last.removeprefix("oauth2: cannot fetch token: ")


def run(programs, wanted):
    """The cells, by label and server, and what the broken rules in each are."""
    demos = {name: Demo(programs[0], SERVERS[name]) for name in dict.fromkeys(name for _, name in wanted)}
    cells, details = {}, {}
    try:
        started = {}
        with tempfile.TemporaryDirectory() as home:
            for label, client_id, command in clients(*programs):
                for name, demo in demos.items():
                    if (label, name) not in wanted:
                        continue
                    environment = {"PATH": os.environ["PATH"], "HOME": home, "NO_PROXY": "127.0.0.1"}
                    started[label, client_id, name] = subprocess.Popen(
                        command(demo.issuer),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                        env=environment,
                    )
                # So that they do not all start their runtimes at once.
                time.sleep(1)
            words = {key: word_of(process) for key, process in started.items()}
        until = time.monotonic() + PATIENCE
        for name, demo in demos.items():
            demo.wait_for(sum(name == server for _, server in wanted), until)
        for (label, client_id, name), word in words.items():
            verdict = demos[name].verdicts[client_id]
            cells[label, name] = cell(word, verdict)
            broken = [rule for rule in verdict["rules"] if rule["verdict"] == "broken"]
            details[label, name] = [f"{label}, {name}: {rule['rule']}: {rule['detail']}" for rule in broken]
    finally:
        for demo in demos.values():
            demo.stop()
    return cells, details


def table(labels, cells):
    rows = [["", *SERVERS], ["---"] * (len(SERVERS) + 1)]
    rows += [[label, *(cells[label, name] for name in SERVERS)] for label in labels]
    return ["| " + " | ".join(row) + " |" for row in rows]


def documented():
    """The cells that the document has, by label and server."""
    lines = DOCUMENT.read_text().splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("|  | approved")), len(lines))
    rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines[first:] if line.startswith("|")]
    names = rows[0][1:] if rows else []
    return {(label, name): word for label, *words in rows[2:] for name, word in zip(names, words, strict=True)}


def main():
    programs, expected = sys.argv[1:6], documented()
    labels = [label for label, _, _ in clients(*programs)]
    wanted = {(label, name) for label in labels for name in SERVERS}
    cells, details = run(programs, wanted)
    for _ in range(1, ROUNDS):
        others = {key for key in wanted if cells[key] != expected.get(key)}
        if "--print" in sys.argv or not others:
            break
        for key in sorted(others):
            print(f"once more, since the document has {expected.get(key)!r}: {', '.join(key)}: {cells[key]}")
        again, broken = run(programs, others)
        cells.update(again)
        details.update(broken)
    print("\n".join(table(labels, cells)))
    print()
    print("\n".join(line for key in cells for line in details[key]))
    if "--print" in sys.argv or cells == expected:
        return 0
    print(f"{DOCUMENT.name} has another table", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
