"""Compiled kernels are kept on disk, compiled anew when they must be, and the time for it is told."""

from __future__ import annotations

import pytest

from tinyres.kernels.on_numba.cache import drop_stale

TRAINING = """
import numpy as np
import tinyres
from tinyres.data import Loader, load
from tinyres.kernels.compiling import compiled
from tinyres.train.metrics import evaluate

train = load("digits").train
for shortcut in "AB":
    loader = Loader(train, mean=np.zeros((8, 8, 1), np.float32), scale=1 / 16, batch=64, seed=0, padding=4)
    model = tinyres.models.create("resnet20", shortcut=shortcut, in_channels=1)
    optimizer = tinyres.optim.SGD(model.parameters(), 0.1)
    x, labels = next(loader.batches(0, 0))
    loss = tinyres.ops.softmax_cross_entropy(model(tinyres.Tensor(x)), labels)
    loss.backward()
    optimizer.step()
    evaluate(model, loader, "test")
print(compiled.functions)
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing(python):
    """Training, augmentation and evaluation, shortcuts A and B: what the first leaves on disk suffices the second."""
    done = [python(TRAINING) for _ in range(2)]
    assert [process.stderr for process in done] == ["", ""]
    assert int(done[1].stdout) == 0


FIRST = """
import numpy as np
from tinyres.kernels import compiling, launch
with compiling.watch(lambda: print("compiling", flush=True)):
    launch("neg", np.ones(3))
    launch("global_avg_pool", np.ones((2, 3, 3, 4)))
print(compiling.compiled)
print(compiling.compiled.sentence())
"""


def test_compiling_is_told(tmp_path, python):
    first, second = (python(FIRST, NUMBA_CACHE_DIR=str(tmp_path)).stdout.splitlines() for _ in range(2))
    assert first[0] == "compiling"
    assert first[1].startswith("Compiled(functions=1, seconds=")
    assert first[2].endswith(" s (kept for the next time)")
    assert second[0] == "Compiled(functions=0, seconds=0.0, kept=True)"


NOWHERE = """
import tempfile
original = tempfile.TemporaryFile
def file(*args, dir=None, **settings):
    if "tinyres-kernels-" not in str(dir):
        raise PermissionError(dir)
    return original(*args, dir=dir, **settings)
tempfile.TemporaryFile = file
"""


def test_a_cache_that_cannot_be_written_costs_compilation_and_nothing_else(tmp_path, python):
    said = python(NOWHERE + FIRST, NUMBA_CACHE_DIR=str(tmp_path), TMPDIR=str(tmp_path)).stdout.splitlines()
    assert said[0] == "compiling"
    assert "(not kept: no folder for it can be written to; see doctor)" in said[2]
    assert list(tmp_path.glob("tinyres-*")) == []  # what was kept until the end is gone


def test_kernels_are_compiled_anew_when_what_they_import_changes(tmp_path):
    """Numba itself looks only at the file of a function."""
    sources, folder = tmp_path / "sources", tmp_path / "cache"
    sources.mkdir()
    folder.mkdir()
    here = "tinyres.kernels.on_numba"
    texts = {"conv": f"from {here}.tiles import x", "tiles": f"from {here}.vectors import x", "vectors": "", "pool": ""}
    texts["pool"] = f"from {here}.threads import share"
    texts["threads"] = "one"
    for name, text in texts.items():
        (sources / f"{name}.py").write_text(text)

    def left():
        for name in texts:
            for suffix in ("nbi", "1.nbc"):
                (folder / f"{name}.function-3.{suffix}").touch()
        drop_stale(sources, folder)
        return {path.name.partition(".")[0] for path in folder.glob("*.nb*")}

    assert left() == {"vectors", "pool", "threads"}  # nothing is known of the others
    assert left() == set(texts)
    (sources / "vectors.py").write_text("changed")
    assert left() == {"vectors", "pool", "threads"}
    (sources / "threads.py").write_text("two")
    assert left() == set(texts)
