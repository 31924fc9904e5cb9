"""A whole sign-in in Python with the shared library and nothing but the standard library: ctypes and urllib.

    DEVICE_FLOW_LIBRARY=/usr/local/lib/libdevice_flow.so.0 python3 sign_in.py ISSUER CLIENT_ID
"""

import ctypes
import http.client
import os
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from ctypes import POINTER, Structure, byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

# The numbers of include/device_flow.h.
CLIENT_ID, ISSUER, SCOPE, ALLOW_HTTP_LOOPBACK = 0, 6, 7, 25
SEND_REQUEST, SHOW_CODE, WAIT, AWAIT_RESPONSE, DONE, FAILED, ENDED = range(7)
USER_CODE, VERIFICATION_URI, ACCESS_TOKEN, TEXT_SCOPE, FAILURE = 0, 1, 7, 12, 15
EXPIRES_IN = 5
OTHER, TIMEOUT, DNS, CONNECT, TLS, UNTRUSTED_CERTIFICATE, PROXY, CLOSED, INVALID_HTTP, ABANDONED = range(10)


class Str(Structure):
    """A pointer and a length; a header is two of them. Not c_char_p, which would look for a zero byte."""

    _fields_ = [("data", c_void_p), ("len", c_size_t)]

    def bytes(self):
        return ctypes.string_at(self.data, self.len)


def to_str(text):
    """Good as long as `text` is."""
    return Str(ctypes.cast(c_char_p(text), c_void_p), len(text))


class Header(Structure):
    _fields_ = [("name", Str), ("value", Str)]


class Request(Structure):
    _fields_ = [("method", Str), ("url", Str), ("headers", POINTER(Header)), ("header_count", c_size_t), ("body", Str),
                ("max_response", c_size_t), ("time_limit_ms", c_uint64)]


class Action(Structure):
    _fields_ = [("kind", c_uint32), ("reason", c_uint32), ("ticket", c_uint64), ("until_ms", c_uint64), ("request", Request)]


library = ctypes.CDLL(os.environ.get("DEVICE_FLOW_LIBRARY", "libdevice_flow.so.0"))
TEXT = [c_char_p, c_size_t]
for name, arguments in {
    "df_error_text": [c_int32, c_void_p],
    "df_detail": [c_void_p, c_void_p],
    "df_free": [c_void_p],
    "df_config_new": [c_void_p],
    "df_config_set": [c_void_p, c_uint32, *TEXT],
    "df_config_discovered": [c_void_p, c_void_p],
    "df_client_new": [c_void_p, c_void_p],
    "df_discovery_new": [c_void_p, c_void_p],
    "df_flow_new": [c_void_p, *TEXT, c_void_p],
    "df_next_action": [c_void_p, c_uint64, c_void_p],
    "df_read_text": [c_void_p, c_uint32, c_size_t, c_void_p],
    "df_read_number": [c_void_p, c_uint32, c_void_p],
    "df_response": [c_void_p, c_uint64, c_uint32, c_void_p, c_size_t, *TEXT, c_uint64],
    "df_transport_failed": [c_void_p, c_uint64, c_uint32, *TEXT, c_uint64],
}.items():
    getattr(library, name).argtypes = arguments
    getattr(library, name).restype = c_int32


class Handle:
    """A handle, freed with this object."""

    def __init__(self, make, *arguments):
        self.pointer = c_void_p()
        owner = arguments[0] if arguments and isinstance(arguments[0], Handle) else None
        code = make(*[getattr(each, "pointer", each) for each in arguments], byref(self.pointer))
        if code < 0:
            (owner or self).fail(code)

    def call(self, function, *arguments):
        code = function(self.pointer, *arguments)
        if code < 0:
            self.fail(code)
        return code == 0

    def fail(self, code):
        text = Str()
        if not self.pointer or library.df_detail(self.pointer, byref(text)) != 0:
            library.df_error_text(code, byref(text))
        sys.exit(text.bytes().decode())

    def text(self, which):
        text = Str()
        return text.bytes().decode() if self.call(library.df_read_text, which, 0, byref(text)) else None

    def number(self, which):
        number = c_uint64()
        return number.value if self.call(library.df_read_number, which, byref(number)) else None

    def set(self, setting, value):
        self.call(library.df_config_set, setting, value.encode(), len(value.encode()))

    def __del__(self):
        if self.pointer:
            library.df_free(self.pointer)


class NeverRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


browser = urllib.request.build_opener(NeverRedirect)


def now_ms():
    return time.monotonic_ns() // 1_000_000


def kind_of(error):
    error = error.reason if isinstance(error, urllib.error.URLError) else error
    for kind, errors in [(UNTRUSTED_CERTIFICATE, ssl.SSLCertVerificationError), (TLS, ssl.SSLError), (DNS, socket.gaierror),
                         (TIMEOUT, TimeoutError), (CLOSED, (ConnectionResetError, http.client.IncompleteRead)),
                         (CLOSED, http.client.RemoteDisconnected), (CONNECT, OSError),
                         (INVALID_HTTP, http.client.HTTPException)]:
        if isinstance(error, errors):
            return kind
    return OTHER


def send(machine, ticket, request):
    """Sends the request, and hands in what came."""
    headers = {each.name.bytes().decode(): each.value.bytes().decode() for each in request.headers[:request.header_count]}
    method, body = request.method.bytes().decode(), request.body.bytes()
    message = urllib.request.Request(request.url.bytes().decode(), body if method == "POST" else None, headers, method=method)
    limit, ends = request.max_response, (request.time_limit_ms or 30_000) / 1_000
    try:
        try:
            answer = browser.open(message, timeout=min(ends, 30))
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            # One byte more says that there was more.
            status, fields, body = answer.status, answer.headers.items(), answer.read(limit + 1)
    except (OSError, http.client.HTTPException) as error:
        detail = str(error).encode()
        machine.call(library.df_transport_failed, ticket, kind_of(error), detail, len(detail), now_ms())
        return
    fields = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields]
    array = (Header * len(fields))(*[Header(to_str(name), to_str(value)) for name, value in fields])
    machine.call(library.df_response, ticket, status, array, len(fields), body, len(body), now_ms())


def run(machine):
    """The loop that drives every machine."""
    while True:
        action = Action()
        machine.call(library.df_next_action, now_ms(), byref(action))
        if action.kind == SEND_REQUEST:
            send(machine, action.ticket, action.request)
        elif action.kind == SHOW_CODE:
            print(f"Open  {machine.text(VERIFICATION_URI)}\nEnter {machine.text(USER_CODE)}", flush=True)
        elif action.kind == WAIT:
            time.sleep(max(0, action.until_ms - now_ms()) / 1_000)
        elif action.kind == DONE:
            return machine
        else:
            sys.exit(machine.text(FAILURE))


def main():
    issuer, client_id = sys.argv[1:]
    config = Handle(library.df_config_new)
    for setting, value in [(ISSUER, issuer), (CLIENT_ID, client_id), (SCOPE, "openid profile offline_access"),
                           (ALLOW_HTTP_LOOPBACK, "")]:
        config.set(setting, value)
    discovery = run(Handle(library.df_discovery_new, config))
    config.call(library.df_config_discovered, discovery.pointer)
    client = Handle(library.df_client_new, config)
    flow = run(Handle(library.df_flow_new, client, os.urandom(32), 32))
    token, life, scope = flow.text(ACCESS_TOKEN), flow.number(EXPIRES_IN), flow.text(TEXT_SCOPE)
    print(f"Signed in: a token of {len(token)} characters for {life} s, scope {scope}")


main()
