"""Several networks with the same settings, over several seeds: one folder, one figure, one table.

    compare.json        the settings and what came out
    compare.png         training error left, test error right; median over seeds, range as a band
    plain56-seed0 ...   the runs, each an ordinary run folder

A comparison that was interrupted goes on with `resume`: what is finished stays, what was begun continues.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyres import models
from tinyres.data import Dataset
from tinyres.errors import CheckpointError, ConfigError
from tinyres.train.device import check_device, choosing
from tinyres.train.figures import compare_curves, save
from tinyres.train.folder import new_folder, reason, stamped, write_atomically
from tinyres.train.follow import Follow
from tinyres.train.loop import Result, fit
from tinyres.train.recipe import Config
from tinyres.train.start import versions

RECORD = "compare.json"
# Settings that a comparison may be continued with whatever they are: they change no result, or are taken from it.
FREE = ("resume", "root", "runs", "name", "tensorboard", "recompute", "device")


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison.

    Attributes
    ----------
    folder : Path
        Holds the runs, compare.json and compare.png.
    results : dict of str to list of Result
        Network -> its finished runs, one a seed.
    interrupted : bool
        Stopped by Ctrl-C or SIGTERM, with the state of the run under way saved.
    """

    folder: Path
    results: dict[str, list[Result]]
    interrupted: bool

    def median(self, model: str, field: str) -> float:
        """Median over the seeds of a field of the last line."""
        return float(statistics.median(result.last[field] for result in self.results[model]))

    def table(self) -> str:
        """The outcome as text, a row a network."""
        rows = [f"{'network':<12} {'seeds':>5} {'train error':>12} {'test error':>11} {'images/s':>9}"]
        for model, results in self.results.items():
            if results:
                train, test = self.median(model, "train_error"), self.median(model, "test_error")
                speed = self.median(model, "images_per_second")
                rows.append(f"{model:<12} {len(results):>5} {train:>12.2%} {test:>11.2%} {speed:>9,.0f}")
        return "\n".join(rows)


def compare(
    config: Config, dataset: Dataset | None = None, tell: Callable[[str], None] = print, follow: Follow | None = None
) -> Comparison:
    """Train `config.compare` with `config.seeds`, or continue the comparison whose folder `config.resume` names.

    Parameters
    ----------
    config : Config
        The settings of all runs; without seeds its own one.
    dataset : Dataset, optional
        Data of one's own.
    tell : callable
        Is given a line of text after each run.
    follow : callable, optional
        As of `fit`.

    Returns
    -------
    Comparison

    Raises
    ------
    ConfigError
        An unknown network, or a resumed comparison with other settings; nothing has been written.
    """
    config.check()
    with choosing(config.kernels):
        check_device(config)
    if config.resume is None:
        for name in config.compare:
            models.create(name, shortcut=config.shortcut, num_classes=2, in_channels=1)
        folder = new_folder(Path(config.runs), config.name or stamped("compare-" + "-".join(config.compare)))
    else:
        folder = Path(config.resume)
        config = _recorded(folder, config)
    seeds = config.seeds or (config.seed,)
    results: dict[str, list[Result]] = {name: [] for name in config.compare}
    _record(folder, config, Comparison(folder, results, False))
    for seed in seeds:
        for name in config.compare:
            result = fit(_one(config, folder, name, seed), dataset, follow)
            if result.interrupted:
                return Comparison(folder, results, True)
            results[name].append(result)
            last = result.last
            tell(f"{name}, seed {seed}: train error {last['train_error']:.2%}, test error {last['test_error']:.2%}")
            _record(folder, config, Comparison(folder, results, False))
    return Comparison(folder, results, False)


def is_comparison(path: str | None) -> bool:
    """Whether a path is the folder of a comparison."""
    return path is not None and (Path(path) / RECORD).is_file()


def _one(config: Config, folder: Path, model: str, seed: int) -> Config:
    """The settings of one run of a comparison: new, or continued if its folder is there."""
    name = f"{model}-seed{seed}"
    begun = (folder / name / "config.json").is_file()
    if begun:
        return Config(resume=str(folder / name), root=config.root, recompute=config.recompute, device=config.device)
    return dataclasses.replace(
        config, model=model, seed=seed, compare=(), seeds=(), runs=str(folder), name=name, resume=None
    )


def _record(folder: Path, config: Config, comparison: Comparison) -> None:
    """Write compare.json, and compare.png once every network has a run."""
    networks: dict[str, Any] = {}
    for model, results in comparison.results.items():
        fields = ("train_loss", "train_error", "test_loss", "test_error")
        runs = [
            {"seed": r.config.seed, "folder": r.folder.name, "step": r.step} | {name: r.last[name] for name in fields}
            for r in results
        ]
        median = {name: comparison.median(model, name) for name in fields} if results else {}
        networks[model] = {"median": median, "runs": runs}
    record = {"config": config.to_json(), "networks": networks, "versions": versions()}
    write_atomically(folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())
    if all(comparison.results.values()):
        count = min(map(len, comparison.results.values()))
        curves = {model: [r.history for r in results[:count]] for model, results in comparison.results.items()}
        title = f"{' and '.join(config.compare)} on {config.data}" + (
            f", median and range of {count} seeds" if count > 1 else ""
        )
        save(compare_curves(curves, title), folder / "compare.png")


def _recorded(folder: Path, given: Config) -> Config:
    """The settings of a comparison that is continued."""
    try:
        saved = Config(**json.loads((folder / RECORD).read_text())["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / RECORD} cannot be read: {reason(error)}.") from None
    changed = dataclasses.replace(given, **{name: getattr(saved, name) for name in FREE})
    for field in dataclasses.fields(Config):
        value, own = getattr(changed, field.name), getattr(saved, field.name)
        if value not in (field.default, own):
            raise ConfigError(
                f"the comparison has {field.name} {own!r}, not {value!r}, and keeps its settings; "
                "leave that one away, or start a new comparison without --resume."
            )
    return dataclasses.replace(
        saved,
        root=given.root or saved.root,
        recompute=given.recompute or saved.recompute,
        device=given.device or saved.device,
        precision=saved.precision if given.device in (None, saved.device) else given.precision,
    )
