"""Downloads against a server on this machine: broken off, resumed, wrong, missing, and offline."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data import cifar, download, load
from tinyres.data.download import fetch
from tinyres.errors import DataError

CONTENT = np.random.default_rng(0).bytes(5000)
NAME = "file.tar.gz"
SHA = hashlib.sha256(CONTENT).hexdigest()
Make = Callable[..., Any]


def closed_address() -> str:
    """An address at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_file_is_fetched(make_site: Make, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    site = make_site(files={NAME: CONTENT})
    path = fetch(NAME, SHA, cache, (site.address,))
    assert path == cache / NAME
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in cache.iterdir()] == [NAME]
    assert capfd.readouterr() == ("", "")  # no bar, for this is no terminal


def test_a_broken_download_goes_on(make_site: Make, cache: Path) -> None:
    site = make_site(files={NAME: CONTENT}, cuts=[1000, 500])
    assert fetch(NAME, SHA, cache, (site.address,)).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [None, "bytes=1000-", "bytes=1500-"]
    assert [entry.name for entry in cache.iterdir()] == [NAME]


def test_a_download_goes_on_another_day(make_site: Make, cache: Path) -> None:
    cut = make_site(files={NAME: CONTENT}, cuts=[2000, 0])
    with pytest.raises(DataError, match=r"connection lost.*0\.0 MB have arrived and the next try goes on from there"):
        fetch(NAME, SHA, cache, (cut.address,))
    assert [entry.name for entry in cache.iterdir()] == [f"{NAME}.part"]
    site = make_site(files={NAME: CONTENT})
    assert fetch(NAME, SHA, cache, (site.address,)).read_bytes() == CONTENT
    assert site.asked == [(f"/{NAME}", "bytes=2000-")]


def test_a_download_goes_on_at_the_next_address(make_site: Make, cache: Path) -> None:
    sites = [make_site(files={NAME: CONTENT}, cuts=[3000, 0]), make_site(files={NAME: CONTENT})]
    assert fetch(NAME, SHA, cache, tuple(site.address for site in sites)).read_bytes() == CONTENT
    assert sites[1].asked == [(f"/{NAME}", "bytes=3000-")]


def test_a_server_without_ranges_starts_again(make_site: Make, cache: Path) -> None:
    site = make_site(files={NAME: CONTENT}, cuts=[1000], ranges=False)
    assert fetch(NAME, SHA, cache, (site.address,)).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [None, "bytes=1000-"]


def test_a_server_that_never_gets_further_is_left(make_site: Make, cache: Path) -> None:
    site = make_site(files={NAME: CONTENT}, cuts=[1000] * 50, ranges=False)
    with pytest.raises(DataError, match="connection lost"):
        fetch(NAME, SHA, cache, (site.address,))
    assert len(site.asked) <= download.TRIES


def test_a_wrong_beginning_is_found_out(make_site: Make, cache: Path) -> None:
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(b"x" * 1000)
    site = make_site(files={NAME: CONTENT})
    assert fetch(NAME, SHA, cache, (site.address,)).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == ["bytes=1000-", None]


@pytest.mark.parametrize("length", [5000, 6000])
def test_a_whole_part_is_only_checked(make_site: Make, cache: Path, length: int) -> None:
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes((CONTENT + bytes(1000))[:length])
    site = make_site(files={NAME: CONTENT})
    assert fetch(NAME, SHA, cache, (site.address,)).read_bytes() == CONTENT
    assert len(site.asked) == (1 if length == 5000 else 2)


def test_a_wrong_file_is_removed(make_site: Make, cache: Path) -> None:
    site = make_site(files={NAME: b"<html>log in to the network first</html>"})
    with pytest.raises(DataError, match=r"127\.0\.0\.1: sent a file with a wrong checksum, removed"):
        fetch(NAME, SHA, cache, (site.address,))
    assert list(cache.iterdir()) == []
    assert len(site.asked) == 1


def test_the_second_address_after_the_first_fails(make_site: Make, cache: Path) -> None:
    good = make_site(files={NAME: CONTENT})
    for bad in (make_site(files={}).address, make_site(files={NAME: b"wrong"}).address, closed_address()):
        assert fetch(NAME, SHA, cache, (bad, good.address)).read_bytes() == CONTENT
        (cache / NAME).unlink()


def test_offline(make_site: Make, cache: Path) -> None:
    addresses = (closed_address(), make_site(files={}).address)
    with pytest.raises(
        DataError,
        match=rf"^{NAME} could not be downloaded \(127.0.0.1: no connection; 127.0.0.1: HTTP 404\): fetch "
        rf"https://www.cs.toronto.edu/~kriz/{NAME} by other means and put it into {cache}, or name the folder that "
        r"holds it as root\.$",
    ):
        fetch(NAME, SHA, cache, addresses)


def test_a_folder_that_cannot_be(make_site: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be stored in .*file/cache \(.+\).*TINYRES_CACHE"):
        fetch(NAME, SHA, tmp_path / "file" / "cache", (closed_address(),))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_space(make_site: Make, cache: Path) -> None:
    cache.mkdir()
    (cache / f"{NAME}.part").symlink_to("/dev/full")
    site = make_site(files={NAME: CONTENT})
    with pytest.raises(DataError, match=r"cannot be stored in .* \(No space left on device\): make room there"):
        fetch(NAME, SHA, cache, (site.address,))


@pytest.fixture
def cifar_site(make_site: Make, make_cifar: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A site that serves a tiny CIFAR-10, whose checksum takes the place of the official one."""
    made = make_cifar("cifar10", "python")
    archive = made.archive(tmp_path / "site" / "cifar-10-python.tar.gz")
    content = archive.read_bytes()
    forms = tuple(
        dataclasses.replace(form, sha256=hashlib.sha256(content).hexdigest()) for form in cifar.FORMS["cifar10"]
    )
    monkeypatch.setitem(cifar.FORMS, "cifar10", forms)
    site = make_site(files={archive.name: content})
    monkeypatch.setattr(download, "ADDRESSES", (closed_address(), site.address))
    return site


def test_cifar_is_fetched_once(cifar_site: Any, cache: Path) -> None:
    first = load("cifar10")
    assert first.train.images.shape == (15, 32, 32, 3)
    assert np.array_equal(load("cifar10").train.images, first.train.images)
    assert len(cifar_site.asked) == 1


def test_an_archive_put_into_the_cache_by_hand_is_verified(cifar_site: Any, cache: Path) -> None:
    cache.mkdir()
    (cache / "cifar-10-python.tar.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz has a wrong checksum .*: .*remove it and try again"):
        load("cifar10")
    assert (cache / "cifar-10-python.tar.gz").exists()  # whoever put it there removes it
    assert cifar_site.asked == []


def test_an_unpacked_folder_in_the_cache_is_used(cifar_site: Any, make_cifar: Make, cache: Path) -> None:
    made = make_cifar("cifar10", "binary", cache)
    assert np.array_equal(load("cifar10").test.images, made.images["test_batch.bin"])
    assert cifar_site.asked == []


def test_the_official_addresses() -> None:
    assert "https://www.cs.toronto.edu/~kriz/" in download.ADDRESSES
    assert all(address.startswith("https://") and address.endswith("/") for address in download.ADDRESSES)
