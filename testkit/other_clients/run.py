"""Owns the matrix of clients and demo servers: starts one server for each behaviour, lets every client sign in to
each, and prints the judge's verdicts as the table of docs/other-clients.md. Ends with 1 when that table says something
else.

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
INTERVAL, LIFETIME = 2, 50
# For a client, or for the verdict on it.
PATIENCE = 100

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


def run(programs):
    demos = {name: Demo(programs[0], flags) for name, flags in SERVERS.items()}
    table, details = {}, []
    try:
        all_clients, started = clients(*programs), {}
        with tempfile.TemporaryDirectory() as home:
            for _, client_id, command in all_clients:
                for name, demo in demos.items():
                    environment = {"PATH": os.environ["PATH"], "HOME": home, "NO_PROXY": "127.0.0.1"}
                    started[client_id, name] = subprocess.Popen(
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
        for demo in demos.values():
            demo.wait_for(len(all_clients), until)
        for label, client_id, _ in all_clients:
            verdicts = {name: demo.verdicts[client_id] for name, demo in demos.items()}
            table[label] = [cell(words[client_id, name], verdict) for name, verdict in verdicts.items()]
            for name, verdict in verdicts.items():
                for rule in verdict["rules"]:
                    if rule["verdict"] == "broken":
                        details.append(f"{label}, {name}: {rule['rule']}: {rule['detail']}")
    finally:
        for demo in demos.values():
            demo.stop()
    return table, details


def main():
    table, details = run(sys.argv[1:6])
    head = ["", *SERVERS]
    rows = [head, ["---"] * len(head), *([label, *cells] for label, cells in table.items())]
    printed = ["| " + " | ".join(row) + " |" for row in rows]
    print("\n".join(printed))
    print()
    print("\n".join(details))
    if "--print" in sys.argv:
        return 0
    documented = DOCUMENT.read_text().splitlines()
    first = next((number for number, line in enumerate(documented) if line.startswith("|  | approved")), None)
    if first is not None and documented[first : first + len(printed)] == printed:
        return 0
    print(f"{DOCUMENT.name} has another table", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
