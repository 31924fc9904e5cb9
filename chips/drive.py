#!/usr/bin/env python3
"""Runs the firmware in QEMU, as the host at the other end of its line (the lines are described in src/lib.rs).

Once it signs in to the demo server of `device-flow`, which judges it. Then it polls a hundred times, answered by a script
in virtual time. Prints what it needs of flash and RAM, and fails above the limits.

usage: drive.py FIRMWARE DEVICE_FLOW
"""
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

# Beside the TLS and the network that real firmware brings.
FLASH_LIMIT, RAM_LIMIT = 120 * 1024, 8 * 1024
POLLS = 100


class Firmware:
    """One run, from the start to the outcome."""

    def __init__(self, firmware, host):
        command = ["qemu-system-arm", "-M", "microbit", "-kernel", firmware, "-display", "none", "-monitor", "none"]
        self.host, self.memory, self.outcome = host, [], None
        self.qemu = subprocess.Popen([*command, "-serial", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # Nothing here waits for minutes: firmware that is silent has gone wrong.
        watch = threading.Timer(120, self.qemu.kill)
        watch.start()
        try:
            while self.outcome is None:
                line = self.line()
                if not line:
                    sys.exit("the firmware stopped without an outcome")
                self.answer(*line.split(" "))
        finally:
            watch.cancel()
            self.qemu.kill()
            self.qemu.wait()

    def line(self):
        return self.qemu.stdout.readline().decode().rstrip("\n")

    def write(self, data):
        self.qemu.stdin.write(data)
        self.qemu.stdin.flush()

    def answer(self, word, *words):
        if word == "server":
            self.write(f"{self.host.url}\n".encode())
        elif word == "entropy":
            self.write(os.urandom(32))
        elif word == "time":
            self.write(b"%d\n" % self.host.time())
        elif word == "wait":
            self.write(b"%d\n" % self.host.wait(int(words[0])))
        elif word == "send":
            self.send(*words)
        elif word == "memory":
            self.memory.append(tuple(map(int, words)))
        elif word == "show":
            print(f"the firmware shows: open {words[1]} and enter {words[0]}")
        elif word in ("granted", "failed", "panicked"):
            self.outcome = " ".join([word, *words])
        else:
            sys.exit(f"the firmware says {word} {words}")

    def send(self, method, url, limit, length):
        headers = dict(iter(lambda: tuple(filter(None, self.line().split(": ", 1))), ()))
        body = self.qemu.stdout.read(int(length))
        answer = self.host.send(method, url, headers, body, int(limit))
        if answer is None:
            self.write(b"0\n")
            return
        status, headers, body = answer
        head = "".join(f"{name}: {value}\n" for name, value in headers)
        answer = f"{status}\n{head}\n".encode() + body
        self.write(b"%d\n" % len(answer) + answer)


class Network:
    """Passes requests on, and waits as long as it is told."""

    def __init__(self, url):
        self.url = url

    def time(self):
        return time.monotonic_ns() // 1_000_000

    def wait(self, until):
        time.sleep(max(0, until - self.time()) / 1_000)
        # Rounded down, the time could be a millisecond too early.
        return max(self.time(), until)

    def send(self, method, url, headers, body, limit):
        request = urllib.request.Request(url, body or None, headers, method=method)
        try:
            answer = OPENER.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        except OSError as error:
            print(f"no answer: {error}")
            return None
        with answer:
            return answer.status, answer.headers.items(), answer.read(limit + 1)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)


class Script:
    """Lets the firmware poll many times before there is a token; its time passes when it waits."""

    url = "https://login.example.com"

    def __init__(self):
        self.now, self.polls, self.earliest = 0, 0, 0

    def time(self):
        return self.now

    def wait(self, until):
        self.now = max(self.now, until)
        return self.now

    def send(self, method, url, headers, body, limit):
        if url.endswith("/device_authorization"):
            answer = {"device_code": "d" * 40, "user_code": "WDJB-MJHT", "verification_uri": f"{self.url}/device"}
            status, answer = 200, answer | {"expires_in": 1_800, "interval": 5}
        else:
            assert self.now >= self.earliest, f"poll {self.polls + 1} came at {self.now}, before {self.earliest}"
            self.polls += 1
            status, answer = 400, {"error": "authorization_pending", "error_description": "Not yet approved."}
            if self.polls > POLLS:
                status, answer = 200, {"access_token": "a" * 900, "token_type": "Bearer", "expires_in": 3_600}
        self.earliest = self.now + 5_000
        return status, [("content-type", "application/json")], json.dumps(answer).encode()


def sign_in_to_the_demo(firmware, device_flow):
    command = [device_flow, "demo", "--serve", "--judge", "--decide", "approve", "--interval", "1s", "--json"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        run = Firmware(firmware, Network(json.loads(demo.stdout.readline())["base_url"]))
        # It judges a sign-in that is over when it is told to end.
        demo.send_signal(signal.SIGTERM)
        said = [json.loads(line) for line in demo.stdout]
    finally:
        demo.kill()
        demo.wait()
    verdict = next((event for event in said if event["event"] == "verdict"), None)
    if run.outcome != "granted openid" or verdict is None:
        sys.exit(f"the firmware has not signed in to the demo server: {run.outcome}")
    broken = [rule["rule"] for rule in verdict["rules"] if rule["verdict"] == "broken"]
    if broken or verdict["end"] != "signed_in":
        sys.exit(f"the demo server's verdict: {verdict['end']}; broken: {broken}")
    print(f"signed in to the demo server after {verdict['polls']} polls; it judges that no rule was broken")
    return run


def poll_a_hundred_times(firmware):
    script = Script()
    run = Firmware(firmware, script)
    if run.outcome != "granted openid" or script.polls != POLLS + 1:
        sys.exit(f"{script.polls} polls, then: {run.outcome}")
    # Reported before each poll, and when all is over.
    heaps = [heap for heap, _, _ in run.memory]
    if len(heaps) != POLLS + 2 or len(set(heaps[:-1])) != 1:
        sys.exit(f"the heap grew over {POLLS} polls: {heaps}")
    if heaps[-1] >= heaps[0]:
        sys.exit(f"the end of the sign-in freed nothing: {heaps[-1]} bytes")
    print(f"{POLLS} polls: {heaps[0]} bytes of heap in use at each of them, {heaps[-1]} when the sign-in is over")
    return run


def sizes(firmware):
    """The sections that the firmware has, by name."""
    listed = subprocess.run(["readelf", "-SW", firmware], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: int(size, 16) for name, size in re.findall(r"\] (\.\S+) +\w+ +\w+ \w+ (\w+)", listed)}


def main(firmware, device_flow):
    runs = [sign_in_to_the_demo(firmware, device_flow), poll_a_hundred_times(firmware)]
    size = sizes(firmware)
    symbols = subprocess.run(["nm", "-S", "-C", firmware], check=True, stdout=subprocess.PIPE, text=True).stdout
    heap_size = int(re.search(r" (\w+) b device_flow_chip::HEAP\n", symbols)[1], 16)
    _, most_heap, most_stack = map(max, zip(*(memory for run in runs for memory in run.memory)))
    fixed = size[".data"] + size[".bss"] - heap_size
    flash = sum(size[name] for name in (".vector_table", ".text", ".rodata", ".data"))
    ram = fixed + most_heap + most_stack
    print(f"flash: {flash} bytes: code {size['.text']}, constants {size['.rodata']} (limit {FLASH_LIMIT})")
    print(f"RAM: {ram} bytes: heap {most_heap}, stack {most_stack}, variables {fixed} (limit {RAM_LIMIT})")
    if flash > FLASH_LIMIT or ram > RAM_LIMIT:
        sys.exit("the firmware needs more than it may")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
