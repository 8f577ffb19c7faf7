"""Figures of records: the numbers in the table are those of the record, and those of the lines."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.errors import ConfigError, FlowError
from tinyres.flow.figures.axes import BROKEN, ZERO
from tinyres.flow.figures.blocks import branches, split
from tinyres.flow.figures.depth import against_depth
from tinyres.flow.figures.heat import heat_map
from tinyres.flow.figures.quantities import QUANTITIES, profile, quantity_of
from tinyres.flow.figures.runs import note, runs_of, some
from tinyres.flow.figures.style import PAPER
from tinyres.flow.record import AXES

GRADIENT = QUANTITIES["gradient"]


def test_one_layer_stands_for_each_depth(made_up):
    record = made_up(depths=3)
    depth, names, values = profile(record, GRADIENT)
    assert names == ["bn1", "bn2", "bn3", "fc"], "of outputs the last"
    assert depth.tolist() == [1, 2, 3, 4]
    assert np.array_equal(values, record.gradient_norm[:, [1, 3, 5, 6]])
    depth, names, values = profile(record, QUANTITIES["weight-gradient"])
    assert names == [f"conv{k}.weight" for k in (1, 2, 3)] + ["fc.weight"], "of weights the first"
    assert np.array_equal(values, record.weight_gradient_norm[:, [0, 2, 4, 6]])
    assert profile(record, GRADIENT, ["BatchNorm2d", "Linear"])[1] == ["bn1", "bn2", "bn3", "fc"]
    assert profile(record, GRADIENT, ["Conv2d"])[1] == ["conv1", "conv2", "conv3"]


def test_a_shortcut_is_not_what_the_next_layer_sees(made_up):
    record = made_up(depths=3)
    record.columns["depth"] = np.array([1, 1, 2, 2, 3, 1, 3])  # bn3 is made a pad on a shortcut from depth 1
    assert profile(record, GRADIENT)[1] == ["bn1", "bn2", "conv3"]


def test_missing_is_left_out_and_broken_is_not(made_up):
    record = made_up(depths=3)
    record.gradient_norm[:, 1] = np.nan  # never measured
    record.gradient_norm[:, 3] = np.nan  # measured, and NaN
    record.gradient_nonfinite[:, 3] = 5
    assert profile(record, GRADIENT)[1] == ["conv1", "bn2", "bn3", "fc"]


@pytest.mark.parametrize("name", list(QUANTITIES))
def test_every_quantity_is_in_the_schema_and_draws(name, made_up):
    assert QUANTITIES[name].array in AXES
    drawing = against_depth([made_up(), made_up("plain8", "none")], QUANTITIES[name])
    assert len(drawing.figure.axes) == 4, "two runs, both overlaid, and the scale of steps"
    assert drawing.said


def test_table_is_what_is_drawn(made_up):
    record = made_up(steps=(0, 10))
    drawing = against_depth([record], GRADIENT)
    table = drawing.table
    assert table["step"] == [0] * 8 + [10] * 8
    assert table["value"] == record.gradient_norm[:, [1, 3, 5, 7, 9, 11, 13, 14]].ravel().tolist()
    lines = [line.get_ydata().tolist() for line in drawing.figure.axes[0].lines]
    assert np.concatenate(lines).tolist() == table["value"]


def test_a_single_step_needs_one_panel(made_up):
    drawing = against_depth([made_up(steps=(5,)), made_up("plain8", "none", steps=(5,))], GRADIENT)
    (axes,) = drawing.figure.axes
    assert axes.get_title("left") == "step 5"
    assert len(axes.lines) == 2
    assert len(drawing.table["run"]) == 16


def test_growth_is_that_of_the_record(made_up):
    flat = made_up(growth=1.3, steps=(0,))
    flat.gradient_norm[:] = 1.3 ** (8.0 - flat.depth)[None]
    assert against_depth([flat], GRADIENT).said == [
        "resnet8, step 0: ‖∂loss/∂y‖ grows x 1.300 a layer toward the input"
    ]
    flat.gradient_norm[0, 3], flat.gradient_norm[0, 5], flat.gradient_nonfinite[0, 5] = 0, np.inf, 1
    (said,) = against_depth([flat], GRADIENT).said
    assert "x 1.300" in said
    assert "2 of 8 are 0 or not finite, first bn2" in said


def test_all_panels_have_common_axes(made_up):
    drawing = against_depth([made_up(growth=1.0), made_up("plain8", "none", growth=9.0)], GRADIENT)
    one, other, overlay, _ = drawing.figure.axes
    assert one.get_ylim() == other.get_ylim() == overlay.get_ylim()
    assert one.get_xlim() == other.get_xlim() == overlay.get_xlim()
    assert {line.get_linestyle() for line in overlay.lines} == {"-", "--"}, "plain nets are dashed"


def test_any_number_of_runs_can_be_told_apart(made_up):
    drawing = against_depth([made_up(seed=seed, steps=(0,)) for seed in range(16)], GRADIENT)
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in drawing.figure.axes[0].lines}
    assert len(looks) == 16


def test_bands_are_median_and_range(made_up):
    seeds = [made_up(seed=seed, steps=(0, 10)) for seed in range(3)]
    drawing = against_depth([*seeds, made_up("plain8", "none")], GRADIENT, bands=True, style=PAPER)
    ours = [k for k, run in enumerate(drawing.table["run"]) if run == "resnet8"]
    values = np.stack([record.gradient_norm[:, [1, 3, 5, 7, 9, 11, 13, 14]].ravel() for record in seeds])
    assert [drawing.table["value"][k] for k in ours] == np.median(values, axis=0).tolist()
    assert [drawing.table["low"][k] for k in ours] == values.min(axis=0).tolist()
    assert [drawing.table["high"][k] for k in ours] == values.max(axis=0).tolist()
    assert "seeds 0, 1, 2" in drawing.figure.texts[1].get_text()
    assert len(drawing.figure.axes[0].collections) == 2, "a band for each step"


def test_bands_of_nothing(made_up):
    with pytest.raises(ConfigError, match="--bands"):
        against_depth([made_up(), made_up("plain8", "none")], GRADIENT, bands=True)
    with pytest.raises(ConfigError, match="different layers"):
        against_depth([made_up(), made_up(seed=1, depths=5)], GRADIENT, bands=True)
    with pytest.raises(ConfigError, match="no step in common"):
        against_depth([made_up(steps=(0, 2)), made_up(seed=1, steps=(1, 3))], GRADIENT, bands=True)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ([{}, {"model": "plain8"}], ["resnet8", "plain8"]),
        ([{}, {"seed": 1}], ["resnet8, seed 0", "resnet8, seed 1"]),
        ([{}, {"shortcut": "B"}, {"shortcut": "B", "seed": 1}],
         ["resnet8, shortcut A, seed 0", "resnet8, shortcut B, seed 0", "resnet8, shortcut B, seed 1"]),
        ([{}, {}], ["resnet8 (1)", "resnet8 (2)"]),
    ],
)  # fmt: skip
def test_runs_are_named_by_what_tells_them_apart(changed, names, made_up):
    assert [run.label for run in runs_of([made_up(**each) for each in changed])] == names


def test_note_says_where_numbers_come_from(made_up):
    said = note(runs_of([made_up(), made_up(seed=3)]))
    assert said == "data digits · seeds 0, 3 · batch 64 · dtype float32 · loss mean over the batch · tinyres 0.1.0"


def test_some_are_evenly_spread():
    assert some(3, 10).tolist() == [0, 1, 2]
    assert some(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_map_tells_zero_from_nan(made_up):
    record = made_up(steps=(0, 10))
    record.gradient_norm[0, 3], record.gradient_norm[1, 5], record.gradient_nonfinite[1, 5] = 0, np.nan, 1
    drawing = heat_map([record, made_up("plain8", "none")], GRADIENT)
    mesh = drawing.figure.axes[0].collections[0]
    colours = mesh.to_rgba(mesh.get_array()).reshape(2, 8, 4)
    assert colours[0, 1].tolist() == [1, 1, 1, 1]
    assert np.allclose(colours[1, 2, :3], np.array([0xD5, 0x5E, 0]) / 255)
    assert [text.get_text() for text in drawing.figure.legends[0].get_texts()] == [ZERO, BROKEN]
    record.gradient_norm[:] = 0
    with pytest.raises(FlowError, match="no scale to draw"):
        heat_map([record], GRADIENT)


def test_branches_and_split(made_up):
    records = [made_up(depths=9, seed=seed) for seed in (0, 1)]
    drawing = branches([*records, made_up("plain8", "none")], bands=True)
    assert drawing.table["branch_std"] == [x for record in records for x in record.branch_std[-1].tolist()]
    assert drawing.table["seed"] == [0] * 4 + [1] * 4
    by_size = drawing.figure.axes[1].lines[0].get_ydata()
    assert (np.diff(by_size) <= 0).all()
    drawing = split(records, step=9)
    assert set(drawing.table["step"]) == {10}
    assert drawing.table["cosine"][:4] == records[0].split_cosine[1].tolist()
    assert len(drawing.figure.axes) == 4
    assert drawing.figure.axes[0].get_ylim() == drawing.figure.axes[1].get_ylim()
    assert "largest error of the sum 1.0e-07" in drawing.said[0]


@pytest.mark.parametrize("array", ["gradient_norm", "activation_zeros", "branch_std", "split_branch_norm"])
def test_a_step_of_nothing_but_nan(array, made_up):
    record = made_up()
    for name, axes in AXES.items():
        if len(axes) == 2:
            record.columns[name][-1] = np.nan
    record.columns[array][0] = 0
    for name in ("gradient", "zeros", "update"):
        assert against_depth([record, made_up("plain8", "none")], QUANTITIES[name]).said
        assert heat_map([record, made_up("plain8", "none")], QUANTITIES[name]).said
    for step in (0, -1):
        assert branches([record], step=step).said
        assert split([record], step=step).said


@pytest.mark.parametrize("draw", [branches, split])
def test_plain_nets_have_no_blocks(draw, made_up):
    with pytest.raises(FlowError, match=r"no residual block in the records of plain8 on digits, seed 0; name"):
        draw([made_up("plain8", "none")])


def test_what_is_not_there(made_up):
    with pytest.raises(ConfigError, match="did you mean 'gradient'"):
        quantity_of("gradiemt")
    with pytest.raises(ConfigError, match="did you mean 'Conv2d'"):
        profile(made_up(), GRADIENT, ["Conv2D"])
    record = made_up()
    record.update_ratio[:] = np.nan
    with pytest.raises(FlowError, match="resnet8 on digits, seed 0 holds no update"):
        profile(record, QUANTITIES["update"])
    with pytest.raises(ConfigError, match="no record"):
        runs_of([])


@pytest.mark.parametrize("draw", [branches, split])
def test_plain_nets_among_others_are_said_to_be_left_out(draw, made_up):
    said = draw([made_up(), made_up("plain8", "none")]).said
    assert said[0] == "plain8 on digits, seed 0: no residual block, left out"
    assert len(said) == 2
