"""What a student gets: the stubs of a lab, its README, and the lock that says of which version they are."""

from __future__ import annotations

from pathlib import Path

from tinyres.errors import LabError
from tinyres.lab import derive, progress
from tinyres.lab.task import Lab
from tinyres.train.folder import write_atomically
from tinyres.train.start import versions

README = "README.md"


def stubs(lab: Lab) -> dict[str, str]:
    """The student's files by name, derived from the installed modules."""
    return {source.file: derive.stub(derive.source(source.module), source.file) for source in lab.sources}


def solutions(lab: Lab) -> dict[str, str]:
    """The same files with the library's solutions in them."""
    return {source.file: derive.solution(derive.source(source.module)) for source in lab.sources}


def given(lab: Lab) -> dict[str, str]:
    """Files of the lab's folder `given/`, which a student gets as they are: scripts that use what they write."""
    folder = lab.folder / "given"
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*")) if path.is_file()}


def files(lab: Lab) -> dict[str, str]:
    """Everything that `tinyres lab start` writes, by name: no test and no answer is among it."""
    readme = (lab.folder / README).read_text(encoding="utf-8")
    empty = stubs(lab)
    return {**empty, **given(lab), README: readme, progress.LOCK: progress.fresh(lab, empty).text()}


def folder_name(lab: Lab) -> str:
    """`lab02` for ``"02-convolution"``."""
    return f"lab{lab.id.split('-')[0]}"


def start(lab: Lab, parent: Path) -> Path:
    """Write the folder of a lab.

    Parameters
    ----------
    lab : Lab
    parent : Path
        Where the new folder `labNN` will lie.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    LabError
        It is there already: nothing of a student is ever overwritten.
    """
    folder = parent / folder_name(lab)
    if folder.exists():
        raise LabError(
            f"{folder} is there already and may hold your work; go on in it, or start elsewhere with --dir FOLDER."
        )
    wanted = files(lab)  # all of it, before anything is made
    folder.mkdir(parents=True)
    for name, text in wanted.items():
        write_atomically(folder / name, text.encode())
    return folder


def outdated(lab: Lab, lock: progress.Lock) -> str:
    """What to tell who started a lab with another version, if its stubs have changed since; else ""."""
    if progress.hashes(stubs(lab)) == lock.stubs:
        return ""
    return (
        f"this folder was started with tinyres {lock.tinyres}, and the stubs of {lab.id} are others in "
        f"{versions()['tinyres']}: start it anew elsewhere and copy what you wrote."
    )
