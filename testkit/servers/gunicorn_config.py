"""Owns how the two Python servers are served: one process with threads, on the port that the harness bound."""

import os
import threading
import time

# The harness hands its bound port over as standard input, so two servers never take the same one.
bind = "fd://0"
workers = 1
worker_class = "gthread"
threads = 8
# The default of 2 s is shorter than a poll interval, so that no connection would ever be used twice.
keepalive = 30
loglevel = "warning"
# All servers would share one file in the home directory.
control_socket_disable = True


def on_starting(_server):
    """A killed test must leave no server behind; the worker ends when its master has ended."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
