"""Owns how a test's MSAL for Python is made: its client, its server and where its cache lives, all told by the environment."""

import atexit
import os

import msal
from msal_extensions import FilePersistence, PersistedTokenCache


def cache(path, keeper):
    """`extensions`: locked and written through at once, as the package msal-extensions does it. `plain`: read now, written at
    the end, as MSAL's own documentation tells a program to do it."""
    if keeper == "extensions":
        return PersistedTokenCache(FilePersistence(path))
    plain = msal.SerializableTokenCache()
    if os.path.exists(path):
        with open(path) as file:
            plain.deserialize(file.read())

    def save():
        if plain.has_state_changed:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(plain.serialize())

    atexit.register(save)
    return plain


def application():
    settings = {}
    if "CACHE" in os.environ:
        settings["token_cache"] = cache(os.environ["CACHE"], os.environ["KEEPER"])
    if "PRIVATE_AUTHORITY" in os.environ:
        settings["instance_discovery"] = False
    return msal.PublicClientApplication(os.environ["CLIENT_ID"], authority=os.environ["AUTHORITY"], **settings)
