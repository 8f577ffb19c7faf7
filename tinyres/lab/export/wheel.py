"""A wheel of the installed package, whatever it was installed from: a checkout, an editable install or a wheel.

The format is that of PEP 427: the files, and beside them a folder with METADATA, WHEEL and RECORD, the last listing
each file with the base64 of its SHA-256. Nothing is required here: who installs it says what else is needed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import tinyres.lab
from tinyres.train.start import versions

PACKAGE = Path(tinyres.lab.__file__).parents[1]
ASIDE = {"__pycache__"}
DATE = (1980, 1, 1, 0, 0, 0)  # the same files make the same wheel


def wheel() -> tuple[str, bytes]:
    """The file name of a wheel of the running tinyres, and its bytes."""
    version = versions()["tinyres"]
    folder = f"tinyres-{version}.dist-info"
    members = {path: (PACKAGE / path.removeprefix("tinyres/")).read_bytes() for path in _files()}
    members[f"{folder}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: tinyres\nVersion: {version}\nRequires-Python: >=3.11\n"
    ).encode()
    members[f"{folder}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tinyres\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [f"{name},sha256={_hash(data)},{len(data)}" for name, data in members.items()]
    members[f"{folder}/RECORD"] = "\n".join([*record, f"{folder}/RECORD,,", ""]).encode()
    return f"tinyres-{version}-py3-none-any.whl", zipped(members)


def zipped(members: dict[str, bytes], executable: tuple[str, ...] = ()) -> bytes:
    """A zip of these files, the same each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name, DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix: the mode below means something
            member.external_attr = (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(member, data)
    return out.getvalue()


def _files() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*")):
        parts = path.relative_to(PACKAGE).parts
        if path.is_file() and not any(part in ASIDE or part.startswith(".") for part in parts):
            yield "/".join(("tinyres", *parts))


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
