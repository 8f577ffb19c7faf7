"""Record a PyTorch model in the format of `tinyres.flow`, so that its figures serve nets that live elsewhere.

    from torch_recorder import recording
    with recording(model, "flow.npz", every=10, meta={"model": "my net", "seed": 0}) as step:
        for x, labels in batches:
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step(loss)

then `tinyres.flow.Record.read("flow.npz")`, or any figure of `tinyres flow`. Layers are the modules without modules
inside that return a tensor, at their first call in a step; depth counts those with weights in order of call, so a
projection counts like a layer of the branch. Blocks are not looked for (B = 0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinyres.flow.record import AXES, Record

NAN = float("nan")


def statistics(x: Tensor, of: str) -> dict[str, float]:
    """What a record keeps of a tensor, under the names of its arrays."""
    x = x.detach().double()
    found = {"norm": x.norm(), "rms": x.square().mean().sqrt(), "max": x.abs().max(), "zeros": (x == 0).double().mean()}
    found |= {"mean": x.mean(), "std": x.std(correction=0), "nonfinite": (~x.isfinite()).sum()}
    return {f"{of}_{name}": float(value) for name, value in found.items()}


@contextmanager
def recording(
    model: nn.Module, path: str | Path, every: int = 10, meta: dict[str, Any] | None = None
) -> Iterator[Callable[..., None]]:
    """Record steps 0, every, 2 every, ...; yields what to call after each step: ``step(loss, lr=)``."""
    leaves = {name: module for name, module in model.named_modules() if not list(module.children())}
    parameters = dict(model.named_parameters())
    layers: dict[str, dict[str, float]] = {}  # of the step under way
    before: dict[str, Tensor] = {}
    rows: list[dict[str, Any]] = []
    count = 0

    def forward(name: str, output: Any) -> None:
        if count % every or not model.training or not torch.is_grad_enabled():
            return
        if not before:
            before.update({key: p.detach().clone() for key, p in parameters.items()})
        if isinstance(output, Tensor) and output.requires_grad and name not in layers:
            layers[name] = found = statistics(output, "activation")
            output.register_hook(lambda gradient: found.update(statistics(gradient, "gradient")))

    def step(loss: Tensor | float, lr: float = NAN) -> None:
        nonlocal count
        if before:
            weights = {name: statistics(w, "weight") for name, w in before.items()}
            for name, p in parameters.items():
                found = weights[name]
                found["update_norm"] = float((p.detach() - before[name]).double().norm())
                found["update_ratio"] = found["update_norm"] / (found["weight_norm"] or NAN)
                found |= {} if p.grad is None else statistics(p.grad, "weight_gradient")
            rows.append({"step": count, "loss": float(torch.as_tensor(loss).detach()), "lr": lr})
            rows[-1] |= {"layer": dict(layers), "parameter": weights}
        layers.clear()
        before.clear()
        count += 1

    handles = [m.register_forward_hook(lambda _m, _x, y, name=name: forward(name, y)) for name, m in leaves.items()]
    try:
        yield step
    finally:
        for handle in handles:
            handle.remove()
        if rows:
            _write(path, rows, leaves, {"model": type(model).__name__, "every": every} | (meta or {}))


def _write(path: str | Path, rows: list[dict[str, Any]], leaves: dict[str, nn.Module], meta: dict[str, Any]) -> None:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in ("step", "loss", "lr")}
    layers, parameters = list(rows[0]["layer"]), list(rows[0]["parameter"])
    weighted = [any(p.ndim > 1 for p in leaves[name].parameters()) for name in layers]
    columns |= {"layer": layers, "kind": [type(leaves[name]).__name__ for name in layers], "parameter": parameters}
    columns["depth"] = [sum(weighted[: place + 1]) for place in range(len(layers))]
    holders = [name.rpartition(".")[0] for name in parameters]
    columns["parameter_layer"] = [layers.index(name) if name in layers else -1 for name in holders]
    for which, names in (("layer", layers), ("parameter", parameters)):
        found = {key for row in rows for each in row[which].values() for key in each} & AXES.keys()
        columns |= {key: [[row[which].get(name, {}).get(key, NAN) for name in names] for row in rows] for key in found}
    about = {"loss": "mean over the batch", "source": "pytorch", "versions": {"torch": torch.__version__}}
    Record(about | meta, columns).write(path)
