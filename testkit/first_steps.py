"""Uses the command line as a newcomer would, on real servers, and prints the session, which is docs/first-steps.md.

usage: first_steps.py FOLDER-OF-THE-BINARY INSTALLED-SERVERS > docs/first-steps.md

The oidc-provider and the git server are real; what the person types is written down here. Exits with 1 when a command does not end as
it should.
"""

import base64
import fcntl
import http.server
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
binaries, installed = (os.path.abspath(path) for path in sys.argv[1:3])
home = tempfile.TemporaryDirectory()
environment = {
    "PATH": f"{binaries}:{os.environ['PATH']}",
    "HOME": home.name,
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
CODE = re.compile(r"Enter the code\s+(\S+)")


def bound():
    """A bound port, which no other program can take in the meantime."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, f"127.0.0.1:{listener.getsockname()[1]}"


def provider():
    listener, place = bound()
    child = subprocess.Popen(
        ["node", f"{HERE}/servers/oidc_provider.mjs"],
        env={**os.environ, "INSTALLED": installed, "BASE_URL": f"http://{place}", "INTERVAL": "2"},
        stdin=listener,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home.name,
    )
    listener.close()
    return child, f"http://{place}"


class Git(http.server.BaseHTTPRequestHandler):
    """git http-backend, for requests with a token that the issuer knows."""

    issuer = repositories = ""

    def do_GET(self):
        if not self.knows():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = subprocess.run(
            ["git", "http-backend"],
            input=body,
            stdout=subprocess.PIPE,
            check=True,
            env={
                **environment,
                "GIT_PROJECT_ROOT": self.repositories,
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "person",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
        ).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def knows(self):
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return False
        token = base64.b64decode(value).decode().partition(":")[2]
        request = urllib.request.Request(f"{self.issuer}/me", headers={"Authorization": f"Bearer {token}"})
        try:
            return urllib.request.urlopen(request).status == 200
        except urllib.error.HTTPError:
            return False

    def log_message(self, *_):
        pass


def tell(text):
    print(text, flush=True)


def shell(line, exit_code=0, approve=False, kill=None):
    """Runs a line in a shell and prints the output. The person approves the code, or the process is killed."""
    tell(f"$ {line}")
    # So that a signal reaches the program itself.
    line = f"exec {line}" if kill else line
    child = subprocess.Popen(
        ["bash", "-c", line],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=home.name,
        text=True,
    )
    code = None
    for text in child.stdout:
        sys.stdout.write(text.replace(home.name, "~"))
        code = code or (CODE.search(text) and CODE.search(text).group(1))
        if approve and code and text.startswith("Waiting"):
            person(code)
        if kill and text.startswith("Waiting"):
            child.send_signal(kill)
    ended = child.wait()
    if ended:
        tell(f"(exit code {ended})" if ended > 0 else "(kill -9, from another terminal)")
    assert ended == (exit_code if not kill else -kill), (line, ended)
    return code


def typed(line, answers, approve=False):
    """The same at a terminal, where a person answers what is asked: how each question ends, and the answer."""
    tell(f"$ {line}")
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
    child = subprocess.Popen(
        ["bash", "-c", f"exec {line}"],
        # Nothing is painted over.
        env={**environment, "TERM": "dumb"},
        stdin=far,
        stdout=far,
        stderr=far,
        cwd=home.name,
        start_new_session=True,
    )
    os.close(far)
    output, waiting = "", list(answers)
    while True:
        try:
            output += os.read(near, 4096).decode()
        except OSError:  # The end of a terminal.
            break
        if waiting and output.endswith(f"{waiting[0][0]} "):
            os.write(near, f"{waiting.pop(0)[1]}\n".encode())
        if approve and "Waiting" in output:
            person(CODE.search(output).group(1))
            approve = False
    os.close(near)
    tell(output.replace("\r\n", "\n").replace(home.name, "~").rstrip("\n"))
    ended = child.wait()
    assert ended == 0 and not waiting, (line, ended, waiting)


def person(code):
    subprocess.run(
        [sys.executable, "-I", f"{HERE}/servers/person.py", "approve", "alice", "alice-pw", f"{issuer}/device", code],
        check=True,
        stdout=subprocess.DEVNULL,
    )


server, issuer = provider()
listener, git_host = bound()
try:
    Git.issuer, Git.repositories = issuer, f"{home.name}/repositories"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", f"{Git.repositories}/notes.git"], env=environment, check=True)
    subprocess.run(
        ["git", "-C", f"{Git.repositories}/notes.git", "config", "http.receivepack", "true"], env=environment, check=True
    )
    repositories = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Git, bind_and_activate=False)
    repositories.socket.close()
    repositories.socket = listener
    threading.Thread(target=repositories.serve_forever, daemon=True).start()
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration")
            break
        except OSError:
            time.sleep(0.1)

    tell("""# First steps

A session from nothing to signing out, as `testkit/first_steps.py` typed it and it was answered (the home folder is written `~`; on a
terminal the last line counts down, here it stands still). A scripted person approves the codes, and the servers are real: an oidc-provider
and a git server on this computer; yours have https. Install with `cargo install --path cli-demo`.

## Try it with nothing

The demo brings its own server. With `--yes` it approves the code itself; without it, you are the person, on the page that it names.

```console""")
    shell("device-flow demo --yes")
    tell("""```

## Sign in to a server

To type along, leave `device-flow demo --serve --port 8628` running, and use `--issuer http://127.0.0.1:8628 --client-id
device-flow-demo` instead of the server and the client that are named here. (The demo has no git.)
What to register at four real servers, and how they differ, is in [servers.md](servers.md).

First, is anything wrong?

```console""")
    at = f"--issuer {issuer} --client-id device-public --allow-http-loopback"
    shell(f"device-flow doctor {at} --store file")
    tell("""```

The sign-in. There is no keyring on this computer, so it asks where the tokens go. The answer and all options are needed only once,
since the profile stores them:

```console""")
    typed(f"device-flow login {at} --scope 'openid offline_access'", [("1, 2 or 3?", "2")], approve=True)
    shell("device-flow token")
    shell("device-flow whoami")
    shell("device-flow status")
    shell("cat ~/.config/device-flow/config.toml")
    tell("""```

## Use the token

In a script: stdout contains the token or a header, and nothing else. The token is refreshed when needed, and no code is ever shown.

```console""")
    shell(f'curl -s -H "$(device-flow token --format header)" {issuer}/me; echo')
    shell('eval "$(device-flow token --format env)" && echo "${#ACCESS_TOKEN} characters until $ACCESS_TOKEN_EXPIRES_AT"')
    shell("device-flow refresh")
    tell("""```

With git. The token goes to the host of the server that issued it, and to the hosts that are named:

```console""")
    shell(
        f"git config --global credential.http://{git_host}.helper "
        f"'!device-flow credential git --git-host {git_host}'"
    )
    shell(f"git clone -q http://{git_host}/notes.git")
    shell(
        "cd notes && echo hello >hello && git add hello && git -c user.name=Ada -c user.email=ada@example.com commit -qm hello "
        "&& git push -q origin HEAD:main && git ls-remote origin"
    )
    tell("""```

## Come back later

`--no-wait` shows the code and exits. A later run finishes the sign-in, also after a crash.

```console""")
    code = shell("device-flow login --force --no-wait")
    person(code)
    shell("device-flow login --resume")
    code = shell("device-flow login --force", kill=signal.SIGKILL)
    person(code)
    shell("device-flow login --resume")
    tell("""```

## Another sign-in, encrypted

The key of the tokens is protected by a passphrase, which is not shown while it is typed. Where nobody can type it, `--age-key-file`, a
systemd credential or a variable has a key.

```console""")
    passphrase = [("for the key of your tokens:", "correct horse"), ("The same once more:", "correct horse")]
    typed(
        f"device-flow login --profile private {at} --scope 'openid offline_access' --store age",
        [*passphrase, ("[y/N]", "n")],
        approve=True,
    )
    typed("device-flow token --profile private", [("of the key of your tokens:", "correct horse")])
    shell("head -c 21 ~/.local/state/device-flow/tokens.age; echo")
    shell("device-flow list")
    tell("""```

## Sign out

```console""")
    shell("device-flow logout")
    shell("device-flow token", exit_code=4)
    tell("```")
finally:
    server.terminate()
    server.wait()
