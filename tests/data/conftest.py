"""Tiny CIFAR sets in the official forms, a cache of the test's own, and a web server that misbehaves on demand."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Labels = list[int]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, for this test only."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TINYRES_CACHE", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


def python_2_string(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text


def python_2_batch(key: bytes, labels: Labels, data: np.ndarray) -> bytes:
    """A batch as the official files have it: protocol 2, byte strings, the array as NumPy of Python 2 wrote it."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01M"
        + struct.pack("<H", len(data)) + b"M" + struct.pack("<H", data.shape[1])
        + b"\x86cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + python_2_string(data.tobytes()) + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + python_2_string(key) + numbers + python_2_string(b"data") + array + b"u."


@dataclass
class Cifar:
    """What was written, and what must be read."""

    folder: Path
    images: dict[str, np.ndarray]
    labels: dict[str, Labels]

    def archive(self, path: Path, mode: str = "w:gz") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            tar.add(self.folder, self.folder.name)
        return path


@pytest.fixture
def make_cifar(tmp_path: Path) -> Callable[..., Cifar]:
    """Write a tiny set: `make_cifar("cifar10", "python")` gives five batches of three images and one of two."""

    def make(name: str, form: str, root: Path = tmp_path / "data") -> Cifar:
        random = np.random.default_rng(len(name) + len(form))
        ten = name == "cifar10"
        short = {"python": "py", "binary": "bin"}[form]
        folder = root / (f"cifar-10-batches-{short}" if ten else f"cifar-100-{form}")
        folder.mkdir(parents=True)
        made = Cifar(folder, {}, {})
        train = [f"data_batch_{i}" for i in range(1, 6)] if ten else ["train"]
        for file in [*train, "test_batch" if ten else "test"]:
            n = 3 if file in train else 2
            images = random.integers(0, 256, (n, 32, 32, 3), np.uint8)
            planes = images.transpose(0, 3, 1, 2).reshape(n, 3072)
            labels = random.integers(0, 10 if ten else 100, n).tolist()
            if form == "python":
                content = python_2_batch(b"labels" if ten else b"fine_labels", labels, planes)
            else:
                columns = (
                    [np.array(labels, np.uint8)] if ten else [np.full(n, 255, np.uint8), np.array(labels, np.uint8)]
                )
                content = np.column_stack([*columns, planes]).tobytes()
                file += ".bin"
            (folder / file).write_bytes(content)
            made.images[file], made.labels[file] = images, labels
        names = [f"class{i}" for i in range(10 if ten else 100)]
        if form == "python":
            key = "label_names" if ten else "fine_label_names"
            (folder / ("batches.meta" if ten else "meta")).write_bytes(pickle.dumps({key: names}, 2))
        else:
            (folder / ("batches.meta.txt" if ten else "fine_label_names.txt")).write_text("\n".join(names) + "\n\n")
        return made

    return make


@dataclass
class Site:
    """A web server: what it holds, how it misbehaves, and what was asked of it (path, range)."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # bytes to send before the connection drops, one for each answer
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def make_site() -> Iterator[Callable[..., Site]]:
    servers = []

    def make(**settings: Any) -> Site:
        site = Site(**settings)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers["Range"]
                site.asked.append((self.path, wanted))
                content = site.files.get(self.path.removeprefix("/"))
                if content is None:
                    return self.send_error(404)
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and site.ranges else 0
                if wanted and site.ranges and start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    return self.end_headers()
                self.send_response(206 if wanted and site.ranges else 200)
                if wanted and site.ranges:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:][: site.cuts.pop(0) if site.cuts else None])
                return None

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        site.address = f"http://127.0.0.1:{server.server_port}/"
        return site

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def png() -> Callable[..., bytes]:
    """Encode pixels as an image file."""

    def encode(pixels: np.ndarray, form: str = "PNG") -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, form)
        return buffer.getvalue()

    return encode
