"""Landlock, in a process that is thrown away: what is left readable and writable, and how siblings say a path."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tinyres.lab.worker import landlock


def covered(path: str, given: list[str]) -> bool:
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in given)


def test_everything_but_some(tmp_path):
    """Read is every file of the tree but those below what is unread, unless excepted again."""
    names = ["a/one", "a/b/two", "a/b/c/three", "a/b/c/d/four", "e/five", "six"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "e" / "link").symlink_to(tmp_path / "a" / "b")
    root = str(tmp_path)
    for unread, read, left in [
        ([], [], names),
        (["a"], [], ["e/five", "six"]),
        (["a/b"], [], ["a/one", "e/five", "six"]),
        (["a/b"], ["a/b/c"], ["a/one", "a/b/c/three", "a/b/c/d/four", "e/five", "six"]),
        (["a", "a/b/c/d"], ["a/b/c"], ["a/b/c/three", "e/five", "six"]),
        (["a/b/c/three", "six"], [], ["a/one", "a/b/two", "a/b/c/d/four", "e/five"]),
        (["."], ["a/b"], ["a/b/two", "a/b/c/three", "a/b/c/d/four"]),
    ]:

        def full(each):
            return [f"{root}/{name}" if name != "." else root for name in each]

        given = landlock._but(root, full(unread), full(read))
        assert [name for name in names if covered(f"{root}/{name}", given)] == left, (unread, read)
        assert not (unread and covered(f"{root}/e/link", given) and f"{root}/e/link" in given)
    assert landlock._but("/", ["/"], ["/usr/lib"]) == ["/usr/lib"]


PROBE = """
import ctypes, json, os, socket, sys
from tinyres.lab.worker import landlock
root = sys.argv[1]
missing = landlock.restrict([root], [root + "/open"], [root + "/mine"])
def tried(what, *args):
    try:
        what(*args)
        return True
    except OSError:
        return False
version = ctypes.CDLL(None).syscall(landlock.CREATE_RULESET, None, ctypes.c_size_t(0), 1)
print(json.dumps([missing, version, {
    "read secret": tried(open, root + "/secret"),
    "list": tried(os.listdir, root),
    "read open": tried(open, root + "/open/file"),
    "write open": tried(open, root + "/open/file", "w"),
    "new file in open": tried(open, root + "/open/new", "w"),
    "remove": tried(os.remove, root + "/open/file"),
    "new file in mine": tried(open, root + "/mine/new", "w"),
    "remove in mine": tried(os.remove, root + "/mine/new"),
    "null": tried(open, "/dev/null", "w"),
    "program": tried(os.posix_spawn, "/bin/true", ["true"], {}),
    "signal": tried(os.kill, os.getppid(), 0),
    "connect": tried(socket.create_connection, ("127.0.0.1", int(sys.argv[2]))),
}]))
"""


def test_what_is_left(tmp_path):
    import socket

    for name in ("open", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "secret").write_text("")
    (tmp_path / "open" / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", PROBE, str(tmp_path), str(server.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    missing, version, possible = json.loads(done.stdout)
    if version < 1:
        pytest.skip(missing)
    assert bool(missing) == (version < max(landlock.LATER)), "what it cannot do is told"
    allowed = {"read open", "new file in mine", "remove in mine", "null"}
    allowed |= {name for name, since in (("connect", 4), ("signal", 6)) if version < since}  # came later to Landlock
    assert {name for name, done in possible.items() if done} == allowed


def test_where_it_is_missing(monkeypatch):
    """macOS and old kernels: said, and no error."""
    monkeypatch.setattr(landlock, "CREATE_RULESET", 1 << 20)
    assert "Landlock is missing" in landlock.restrict(["/a"], [], [])
