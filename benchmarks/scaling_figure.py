"""The figure of `scaling.py`: time and peak memory of a step against depth and batch, with the fitted lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinyres.train.figures import COLOURS, INK, PALE, save

STYLES = {"kept": (COLOURS[0], "o", "activations kept"), "recomputed": (COLOURS[1], "s", "recomputed by block")}
VALUES = {"seconds": ("median", 1.0, "seconds a step"), "peak_bytes": ("peak_bytes", 2**-30, "peak memory, GiB")}


def draw(entries: dict[str, Any], path: Path) -> Path:
    """Draw the entries of scaling.json; returns the file."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    settings = entries["settings"]
    rows = [row for row in entries["rows"] if "failed" not in row]
    by_depth = [r for r in rows if r["batch"] == settings["batch"] and r["depth"] in settings["depths"]]
    by_batch = [r for r in rows if r["depth"] == settings["depth"] and r["batch"] in settings["batches"]]
    figure = Figure(figsize=(10, 7), layout="constrained")
    for place, (what, (field, scale, label)) in enumerate(VALUES.items()):
        for column, (axis, chosen) in enumerate((("depth", by_depth), ("batch", by_batch))):
            axes = figure.add_subplot(2, 2, 2 * place + column + 1)
            for mode in settings["modes"]:
                colour, marker, said = STYLES[mode]
                own = sorted((r for r in chosen if r["mode"] == mode), key=lambda r: r[axis])
                x, y = [r[axis] for r in own], [scale * r[field] for r in own]
                fit = entries["fits"].get(mode, {}).get(what) if axis == "depth" else None
                if fit:
                    d = np.geomspace(x[0], x[-1], 200)
                    axes.plot(d, scale * (fit["at_depth_0"] + fit["a_layer"] * d), color=colour, lw=1.2)
                    worst = max(map(abs, fit["relative_residuals"].values()))
                    unit = "ms" if what == "seconds" else "MiB"
                    slope = fit["a_layer"] * (1e3 if what == "seconds" else 2**-20)
                    said += f": {slope:.3g} {unit} a layer, within {worst:.1%} of a line"
                if what == "peak_bytes" and mode == settings["modes"][0] and own:
                    idle = scale * max(r["idle_bytes"] for r in rows)
                    axes.axhline(idle, color=PALE, lw=1.2, ls=(0, (4, 2)), label="before there is a net")
                axes.plot(x, y, marker, color=colour, ms=5, ls="none" if fit else "-", lw=1.2, label=said)
            axes.set(xscale="log", yscale="log", xlabel=axis, ylabel=label)
            ticks = sorted({r[axis] for r in chosen})
            axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=8)
            axes.set_xticks([], minor=True)
            low, high = axes.get_ylim()
            axes.set_ylim(low, high * (high / low) ** 0.35)  # room for the legend
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
            axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
            fixed = f"batch {settings['batch']}" if axis == "depth" else f"{settings['family']}{settings['depth']}"
            axes.set_title(fixed, loc="left", fontsize=10, color=INK)
            axes.grid(color="#E6E6E6", lw=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            if chosen:
                axes.legend(frameon=False, fontsize=8, loc="upper left")
    machine = (
        f"{entries['machine']['processor']}, {settings['threads']} threads, tinyres {entries['versions']['tinyres']}"
    )
    figure.suptitle(f"One training step, {settings['size']}x{settings['size']} images ({machine})", x=0.01, ha="left")
    save(figure, path)
    return path
