"""Owns the configuration of MSAL for Python in tests: its client, its server and its cache file, all from the environment."""

import atexit
import os

import msal
from msal_extensions import FilePersistence, PersistedTokenCache


def cache(path, keeper):
    """`extensions`: locked and written at once, as the package msal-extensions does. `plain`: read now and written at the end, as the
    documentation of MSAL recommends."""
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
