"""Record: what was measured while a network trained, in one `.npz` of fixed-size rows.

T recorded steps, L layers (in the order of the forward pass), P parameters, B residual blocks. The file holds, under
these names and as plain arrays (no pickles: `numpy.load(path)` opens it), with g = d loss / d output of a layer, where
the loss is the mean over the batch:

    format                     "tinyres flow 1"
    meta                       JSON: model, data, seed, batch, shortcut, kernels, dtype, loss, versions, source, ...
    step, loss, lr       [T]   step k is the k-th update, counted from 0; its row is of the weights before that update
    layer, kind, depth   [L]   name, class of the Module, number of weighted layers on the longest way up to this output
    activation_S       [T,L]   of a layer's output, S: norm (l2), rms, max (of |.|), zeros (a fraction), mean, std
    gradient_S         [T,L]   of g, S: norm, rms, max, zeros, and nonfinite: how many values are inf or NaN
    parameter            [P]   names; parameter_layer [P]: the index of the layer that holds it, -1 for none
    weight_S           [T,P]   of a parameter before the update, S: norm, rms, max, zeros
    weight_gradient_S  [T,P]   of its gradient, S: norm, rms, max, zeros
    update_norm        [T,P]   norm of (parameter after the update - before); update_ratio: that / weight_norm
    block, block_depth   [B]   name, and depth (as above) of a block's output
    branch_std, shortcut_std, stream_std                                                       [T,B]
                               std of the two summands of a block's output, and of their sum, before any ReLU
    split_shortcut_norm, split_branch_norm, split_total_norm, split_cosine, split_error        [T,B]
                               the gradient that arrives at a block's input: norms of the part s that came through the
                               shortcut, of the part b through the branch, and of the whole g; the cosine of s and b;
                               |g - (s + b + e)| / |g|, e from other uses of that input (longer shortcuts), mostly 0

float64, but for step, depth, parameter_layer, block_depth (int64) and the names. What was not measured is NaN. A plain
net has B = 0. Gradients that are not finite are recorded as they are.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import FlowError, nearest
from tinyres.train.folder import reason, write_atomically

FORMAT = "tinyres flow 1"
FILE = "flow.npz"  # its name in a run folder
STATISTICS = ("norm", "rms", "max", "zeros")
MOMENTS = ("mean", "std")
RESPONSE = ("stream_std", "branch_std", "shortcut_std")
SPLIT = ("split_shortcut_norm", "split_branch_norm", "split_total_norm", "split_cosine", "split_error")

AXES: dict[str, str] = (
    {"step": "T", "loss": "T", "lr": "T", "layer": "L", "kind": "L", "depth": "L"}
    | {"parameter": "P", "parameter_layer": "P", "block": "B", "block_depth": "B"}
    | {f"activation_{name}": "TL" for name in (*STATISTICS, *MOMENTS)}
    | {f"gradient_{name}": "TL" for name in (*STATISTICS, "nonfinite")}
    | {f"{of}_{name}": "TP" for of in ("weight", "weight_gradient") for name in STATISTICS}
    | {"update_norm": "TP", "update_ratio": "TP"}
    | {name: "TB" for name in (*RESPONSE, *SPLIT)}
)
"""Name of each array -> its axes."""
DAMAGED = (  # what NumPy and zipfile raise for bytes that are no archive of arrays
    OSError,
    ValueError,
    EOFError,
    AttributeError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)
NAMES = ("layer", "kind", "parameter", "block")
INTEGERS = ("step", "depth", "parameter_layer", "block_depth")
WORDS = {"T": "recorded steps", "L": "layers", "P": "parameters", "B": "blocks"}


class Record:
    """Measurements of T steps; each array of the schema is an attribute: ``record.gradient_norm`` [T, L].

    Parameters
    ----------
    meta : mapping
        What JSON can write.
    columns : mapping of str to array_like
        The arrays of the schema; those that are left out are filled with NaN (arrays of L, P or B names: empty).

    Raises
    ------
    FlowError
        An array whose shape does not fit the others, or whose type; steps that do not increase, or no step.

    Examples
    --------
    >>> record = Record({}, {"step": [0], "layer": ["fc"], "gradient_norm": [[2.0]]})
    >>> record.gradient_norm
    array([[2.]])
    >>> record.activation_norm
    array([[nan]])
    """

    def __init__(self, meta: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        self.meta = dict(meta)
        unknown = sorted(columns.keys() - AXES.keys())
        if unknown:
            raise FlowError(f"a record has no array {unknown[0]!r}{nearest(unknown[0], AXES)}.")
        self.columns: dict[str, NDArray[Any]] = {name: _typed(name, values) for name, values in columns.items()}
        leaders = {"T": "step", "L": "layer", "P": "parameter", "B": "block"}
        sizes = {axis: len(self.columns.get(leader, ())) for axis, leader in leaders.items()}
        for name, axes in AXES.items():
            shape = tuple(sizes[axis] for axis in axes)
            if name not in self.columns:
                self.columns[name] = _typed(name, np.full(shape, _absent(name)))
            elif self.columns[name].shape != shape:
                words = " and ".join(f"{sizes[axis]} {WORDS[axis]}" for axis in axes)
                raise FlowError(
                    f"array {name} of the record has shape {list(self.columns[name].shape)}, "
                    f"and {words} want {list(shape)}."
                )
        holders = self.columns["parameter_layer"]
        if len(wrong := holders[(holders < -1) | (holders >= sizes["L"])]):
            raise FlowError(
                f"parameter_layer of the record has {wrong[0]}, and there are {sizes['L']} layers; -1 is for none."
            )
        steps = self.columns["step"]
        if not len(steps):
            raise FlowError("the record holds no step; record at least one training step.")
        if (np.diff(steps) <= 0).any():
            raise FlowError("the steps of the record do not increase; it is damaged, or put together wrongly.")

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name == "columns" or name.startswith("__"):  # asked for by copy and pickle before there are any
            raise AttributeError(name)
        if name not in self.columns:
            raise AttributeError(f"a record has no array {name!r}{nearest(name, AXES)}")
        return self.columns[name]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.columns[n])} {n}s" for n in ("step", "layer", "parameter", "block"))
        return f"Record({self.title}: {sizes})"

    @property
    def title(self) -> str:
        """Which run it is, in a few words: `resnet20 on digits, seed 0`."""
        meta = self.meta
        said = str(meta.get("model", "a network"))
        said += f" on {meta['data']}" if meta.get("data") else ""
        return said + (f", seed {meta['seed']}" if meta.get("seed") is not None else "")

    def write(self, path: str | Path) -> Path:
        """Write the file, whole or not at all; a folder gets `flow.npz` in it.

        The same record gives the same bytes.
        """
        path = Path(path)
        path = path / FILE if path.is_dir() else path
        arrays = {"format": np.array(FORMAT), "meta": np.array(json.dumps(self.meta, sort_keys=True)), **self.columns}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:  # numpy.savez writes the time of day too
            for name in ("format", "meta", *AXES):
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, arrays[name], allow_pickle=False)
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise FlowError(f"cannot write {path}: {reason(error)}; earlier files are untouched.") from None
        return path

    @classmethod
    def read(cls, path: str | Path) -> Record:
        """Read a record from its file, or from the run folder that holds it.

        Raises
        ------
        FlowError
            Not there, a run without a record, damaged, of another program, or of another format.
        """
        path = Path(path)
        if path.is_dir():
            if not (path / FILE).is_file():
                raise FlowError(
                    f"{path} holds no record of gradient flow ({FILE}); train with `tinyres train --flow`, or name "
                    "a checkpoint in it (.safetensors): that is recorded for one step."
                )
            path = path / FILE
        elif not path.exists():
            raise FlowError(f"{path} does not exist; name a run folder or an .npz file that a recorder wrote.")
        try:
            found = _arrays(path.read_bytes())
        except DAMAGED as error:
            raise FlowError(f"{path} is damaged or not a record of gradient flow: {reason(error)}.") from None
        said = str(found.get("format", ""))
        if said != FORMAT:
            other = f"has format {said!r}" if said else "is an archive of another program"
            raise FlowError(f"{path} {other}; a record of format {FORMAT!r} is wanted.")
        missing = sorted({"meta", *AXES} - found.keys())
        if missing:
            raise FlowError(f"{path} lacks the array {missing[0]!r}; record again.")
        try:
            return cls(json.loads(str(found["meta"])), {name: found[name] for name in AXES})
        except (FlowError, ValueError, TypeError) as error:
            raise FlowError(f"{path} is damaged: {reason(error)}.") from None

    def select(
        self,
        layers: str | Iterable[str] | None = None,
        *,
        kinds: str | Iterable[str] | None = None,
        blocks: str | Iterable[str] | None = None,
        steps: Iterable[int] | None = None,
    ) -> Record:
        """Keep some of it.

        Parameters
        ----------
        layers, kinds, blocks : str or sequence of str, optional
            Names, or patterns such as ``"layer1.*.conv1"``; parameters go with their layers.
        steps : sequence of int, optional
            For each the recorded step nearest to it; -1 is the last one.

        Raises
        ------
        FlowError
            Nothing is left.
        """
        keep = {"L": np.ones(len(self.layer), bool), "B": np.ones(len(self.block), bool)}
        for axis, column, wanted in (("L", "layer", layers), ("L", "kind", kinds), ("B", "block", blocks)):
            if wanted is None:
                continue
            patterns = [wanted] if isinstance(wanted, str) else list(wanted)
            names = [str(name) for name in self.columns[column]]
            keep[axis] &= [any(fnmatchcase(name, pattern) for pattern in patterns) for name in names]
            if not keep[axis].any():
                said = f"is called {', '.join(patterns)!r}" if patterns else "was asked for"
                known = {name for name in names if name}
                hint = nearest((patterns or [""])[0], known) if known else ""
                raise FlowError(f"nothing of {self.title} is left: no {column} {said}{hint}.")
        rows = np.arange(len(self.step)) if steps is None else self.rows(steps)
        places = np.append(np.where(keep["L"], np.cumsum(keep["L"]) - 1, -2), -1)  # old index -> new; [-1] stays -1
        holders = places[self.parameter_layer]
        parts = {"T": rows, "L": np.flatnonzero(keep["L"]), "P": np.flatnonzero(holders > -2)}
        parts["B"] = np.flatnonzero(keep["B"])
        if layers is not None or kinds is not None:
            parts["P"] = np.flatnonzero(holders >= 0)
        columns = {name: self.columns[name][np.ix_(*(parts[axis] for axis in axes))] for name, axes in AXES.items()}
        return Record(self.meta, columns | {"parameter_layer": holders[parts["P"]]})

    def rows(self, steps: Iterable[int]) -> NDArray[np.int64]:
        """Indices into axis T of the recorded steps nearest to `steps`, increasing, each once; FlowError for none."""
        wanted = [int(self.step[-1]) if step == -1 else step for step in steps]
        if wanted and min(wanted) < 0:
            raise FlowError(
                f"{self.title}: there is no step {min(wanted)}; they count from 0, and -1 is the last; "
                f"recorded are {_span(self.step)}."
            )
        if not wanted:
            raise FlowError(f"no step of {self.title} was asked for; recorded are {_span(self.step)}.")
        return np.unique([int(np.abs(self.step - step).argmin()) for step in wanted])


def _absent(name: str) -> Any:
    return "" if name in NAMES else -1 if name in INTEGERS else np.nan


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("it is no .npz archive")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _typed(name: str, values: Any) -> NDArray[Any]:
    if name in NAMES:
        return np.asarray(values, np.str_)
    dtype = np.int64 if name in INTEGERS else np.float64
    array = np.asarray(values)
    if array.dtype.kind == "c":
        raise FlowError(f"array {name} of the record is {array.dtype}; {np.dtype(dtype)} is wanted.")
    if name in INTEGERS and array.dtype.kind == "f" and (array != np.floor(array)).any():
        raise FlowError(f"array {name} of the record is not of whole numbers; {np.dtype(dtype)} is wanted.")
    return array.astype(dtype, copy=False)


def _span(steps: NDArray[Any]) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps from {steps[0]} to {steps[-1]}"
