"""What failing cases share, and nothing that two groups of cases share by chance or only in part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinyres.lab import check
from tinyres.lab.contrast import contrast
from tinyres.lab.task import Case


def case(n=2, dtype="float32", layout="contiguous", **params):
    return Case("", {"x": np.ones((n, 3))}, {"stride": 1, "padding": (0, 0), "mode": "same", **params}, dtype, layout)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stride": 2}, "with stride above 1"),
        ({"padding": (-1, 0)}, "with padding below 0"),
        ({"padding": (0, 1)}, "with padding other than 0"),
        ({"stride": 0}, "with stride 0"),
        ({"dtype": "float64"}, "in float64"),
        ({"layout": "strided"}, "with arrays that are not contiguous"),
        ({"n": 1}, "with one entry along axis 0 of x"),
    ],
)
def test_said(change, said):
    assert contrast([case(**change), case(**change)], [case(), case()]) == f"exactly the cases {said} fail"
    assert contrast([case(**change), case()], [case(), case()]) == ""
    assert contrast([case(**change)] * 2, [case(), case(**change)]) == ""
    assert contrast([case(**change)], [case(), case()]) == ""
    assert contrast([case(**change), case(**change)], [case()]) == ""


def test_parameters_may_be_anything():
    odd = [replace(case(), params={"f": len, "names": ["a"], "none": None, "flag": True}) for _ in range(2)]
    assert contrast(odd, [case(), case()]) == "exactly the cases with flag other than 0 fail"
    assert contrast([case(), case()], odd) == "exactly the cases with stride other than 0 fail"


def test_it_stands_in_the_cause(toy, faked, right, tmp_path, rng):
    """Noise wherever there is padding: no recipe, no pattern, but this."""

    def noisy(case, inputs):
        y = right["toy.conv"](case, inputs)["y"]
        noise = np.random.default_rng(1).standard_normal(y.shape)
        return {"y": y + noise if any(case.params["padding"]) else y}

    faked({**right, "toy.conv": noisy})
    cases = check.check(toy, tmp_path, seed=3, keys=("toy.conv",)).tasks[0].cases
    causes = [each.cause for each in cases if not each.passed]
    assert len(causes) == 2
    assert all(cause.endswith("; exactly the cases with padding other than 0 fail") for cause in causes)
