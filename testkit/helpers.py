"""Lets real tools into servers on loopback with the token of a sign-in, through the credential helpers of the binary.

usage: helpers.py FOLDER-OF-THE-BINARY FOLDER-OF-THE-TOOLS

The servers speak as much of each protocol as the tools need, and let nobody in without the token. Exits with 1 when a tool does not get in,
or gets in where no helper was asked.
"""

import base64
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile

binaries, tools = (os.path.abspath(path) for path in sys.argv[1:3])
home = tempfile.TemporaryDirectory()
links = f"{home.name}/bin"
environment = {
    "PATH": f"{links}:{binaries}:{tools}/python/bin:{tools}/node_modules/.bin:{os.environ['PATH']}",
    "HOME": home.name,
    "LANG": "C.UTF-8",
    "DEVICE_FLOW_ALLOW_HTTP_LOOPBACK": "1",
    "UV_CACHE_DIR": f"{home.name}/uv",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


def wheel():
    """The smallest package that pip installs."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        about = "hello-1.0.dist-info"
        archive.writestr("hello.py", "")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", f"hello.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return whole.getvalue()


def tarball():
    """The smallest package that pnpm installs."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        text = b'{"name":"hello","version":"1.0.0"}'
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return whole.getvalue()


WHEEL, TARBALL = wheel(), tarball()
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}).encode()


class Server(http.server.BaseHTTPRequestHandler):
    """Who has the token gets in; `let_in` has the places they were."""

    token, let_in, turned_away = "", [], []

    def do_GET(self):
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        place, answer = self.path.split("?")[0], self.answer
        host = f"http://{self.headers['Host']}"
        if kind == "Basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        # What a registry gives for the token is another one.
        is_registry = place.startswith("/v2/")
        if value != (f"registry-{self.token}" if is_registry else self.token):
            self.turned_away.append(place)
            challenge = f'Bearer realm="{host}/token",service="svc"' if is_registry else 'Basic realm="packages"'
            return answer(401, b"{}", {"WWW-Authenticate": challenge})
        self.let_in.append(place)
        if place == "/v2/":
            return answer(200, b"{}")
        if place == "/token":
            return answer(200, json.dumps({"token": f"registry-{value}"}).encode())
        if place == "/v2/a/b/manifests/t":
            return answer(200, MANIFEST, {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
        if place == "/simple/hello/":
            return answer(200, b'<a href="/hello-1.0-py3-none-any.whl">hello-1.0-py3-none-any.whl</a>', {"Content-Type": "text/html"})
        if place.endswith(".whl"):
            return answer(200, WHEEL, {"Content-Type": "application/octet-stream"})
        if place == "/hello":
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()
            version = {"name": "hello", "version": "1.0.0", "dist": {"tarball": f"{host}/hello/-/hello-1.0.0.tgz", "integrity": integrity}}
            return answer(200, json.dumps({"name": "hello", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode())
        if place.endswith(".tgz"):
            return answer(200, TARBALL, {"Content-Type": "application/octet-stream"})
        return answer(404, b"{}")

    do_HEAD = do_GET

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def run(words, cwd=None, **more):
    return subprocess.run(words, env={**environment, **more}, cwd=cwd or home.name, capture_output=True, text=True)


def works(what, words, place, **more):
    """The tool gets in, all the way to this place; and somebody else's server gets no token."""
    Server.let_in.clear()
    done = run(words, **more)
    assert done.returncode == 0, (what, done)
    assert place in Server.let_in, (what, Server.let_in, done)
    assert Server.token not in done.stdout + done.stderr, (what, "the token is shown")
    print(f"{what}: let in to {place}")


def link(name):
    os.makedirs(links, exist_ok=True)
    os.symlink(f"{binaries}/device-flow", f"{links}/{name}")


demo = subprocess.Popen(
    [f"{binaries}/device-flow", "demo", "--serve", "--json", "--interval", "1s", "--decide", "approve"],
    env=environment,
    stdout=subprocess.PIPE,
    text=True,
)
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) for _ in range(2)]
try:
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ours, theirs = (f"127.0.0.1:{server.server_address[1]}" for server in servers)
    issuer = json.loads(demo.stdout.readline())["base_url"]
    login = run(["device-flow", "login", issuer, "--client-id", "helpers", "--scope", "openid", "--store", "file", "--token-host", ours])
    assert login.returncode == 0, login
    Server.token = run(["device-flow", "token"]).stdout.strip()
    assert re.fullmatch(r"\S{20,}", Server.token)
    for name in ["docker-credential-device-flow", "keyring", "npm-token-device-flow"]:
        link(name)

    # skopeo is told the name of the file, crane that of its folder.
    for name in ["auth.json", "config.json"]:
        with open(f"{home.name}/{name}", "w") as file:
            json.dump({"credHelpers": {ours: "device-flow", theirs: "device-flow"}}, file)
    skopeo = ["skopeo", "--override-os", "linux", "inspect", "--raw", "--tls-verify=false", "--authfile", "auth.json"]
    works("skopeo", [*skopeo, f"docker://{ours}/a/b:t"], "/v2/a/b/manifests/t")
    crane = [f"{tools}/crane", "manifest"]
    has_crane = os.path.exists(crane[0])
    if has_crane:
        works("crane", [*crane, f"{ours}/a/b:t"], "/v2/a/b/manifests/t", DOCKER_CONFIG=home.name)

    pip = ["pip", "install", "-q", "--no-deps", "--trusted-host", "127.0.0.1", "--keyring-provider", "subprocess"]
    works("pip", [*pip, "--target", "by-pip", "--index-url", f"http://{ours}/simple/", "hello"], "/hello-1.0-py3-none-any.whl")
    uv = ["uv", "pip", "install", "-q", "--no-deps", "--python", sys.executable, "--keyring-provider", "subprocess"]
    works("uv", [*uv, "--target", "by-uv", "--index-url", f"http://oauth2@{ours}/simple/", "hello"], "/hello-1.0-py3-none-any.whl")

    with open(f"{home.name}/.npmrc", "w") as file:
        file.write(f"registry=http://{ours}/\n//{ours}/:tokenHelper={links}/npm-token-device-flow\n")
    for what, pnpm in {"pnpm 10": "pnpm", "pnpm 12": f"{tools}/newest/node_modules/.bin/pnpm"}.items():
        project = f"{home.name}/by-{what.replace(' ', '-')}"
        os.mkdir(project)
        with open(f"{project}/package.json", "w") as file:
            file.write("{}")
        store = f"{project}/store"
        works(what, [pnpm, "add", "--silent", "--store-dir", store, "hello"], "/hello/-/hello-1.0.0.tgz", cwd=project)

    # A server that was not named gets nothing, whichever tool asks for it.
    for what, words in {
        "skopeo": [*skopeo, f"docker://{theirs}/a/b:t"],
        **({"crane": [*crane, f"{theirs}/a/b:t"]} if has_crane else {}),
        "pip": [*pip, "--target", "no", "--index-url", f"http://{theirs}/simple/", "hello"],
        "uv": [*uv, "--target", "no", "--index-url", f"http://oauth2@{theirs}/simple/", "hello"],
    }.items():
        Server.let_in.clear()
        refused = run(words, DOCKER_CONFIG=home.name)
        assert refused.returncode != 0 and not Server.let_in, (what, refused, Server.let_in)
        assert Server.token not in refused.stdout + refused.stderr, (what, "the token is shown")
        print(f"{what}: no token for another host")
finally:
    demo.terminate()
    demo.wait()
