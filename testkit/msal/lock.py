"""Owns the commands that a test can give to the lock of MSAL for Python."""

import sys
from msal_extensions.cache_lock import CrossPlatLock, LockError
path, mode = sys.argv[1], sys.argv[2]
lock = lambda: CrossPlatLock(path + '.lockfile')
if mode == 'hold':
    with lock():
        print('held', flush=True)
        sys.stdin.readline()
elif mode == 'try':
    try:
        with lock():
            print('got it')
    except LockError as error:
        print('refused')
elif mode == 'count':
    for _ in range(20):
        with lock():
            with open(path) as file: number = int(file.read())
            with open(path, 'w') as file: file.write(str(number + 1))
