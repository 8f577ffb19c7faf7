"""The table of layers is that of the networks: parameters, shapes, operations, and every op has arrays that fit it."""

from __future__ import annotations

import pytest

from tinyres import models
from tinyres.bench import layers
from tinyres.bench.layers import NETS, Layer, chosen, layers_of
from tinyres.bench.problems import Problem, make_case
from tinyres.conformance import NonconformingError
from tinyres.errors import ConfigError
from tinyres.kernels import registry
from tinyres.kernels.contracts import CONTRACTS
from tinyres.kernels.shapes import RULES


def of_kind(net, kind):
    return [layer for layer in layers_of(NETS[net]) if layer.kind == kind]


@pytest.mark.parametrize(
    ("net", "model", "shortcut"),
    [("resnet20", "resnet20", "A"), ("resnet56-B", "resnet56", "B"), ("plain32", "plain32", "default")],
)
def test_weights_of_a_cifar_net_are_those_of_the_model(net, model, shortcut):
    (update,) = of_kind(net, "update")
    assert update.channels == sum(p.size for p in models.create(model, shortcut=shortcut).parameters())


@pytest.mark.parametrize(
    ("net", "weights"),  # torchvision's, of the networks of this name
    [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032), ("resnet101", 44_549_160),
     ("resnet152", 60_192_808)],
)  # fmt: skip
def test_weights_of_an_imagenet_net(net, weights):
    assert [layer.channels for layer in of_kind(net, "update")] == [weights]


def test_multiply_adds_of_resnet50():
    """4.089e9 for an image of 224x224, stride in the 3x3; the last layer adds 2048 x 1000."""
    convolutions = sum(
        (layer.size // layer.stride) ** 2 * layer.window**2 * layer.channels * layer.filters
        for layer in of_kind("resnet50", "conv")
    )
    assert convolutions + 2048 * 1000 == pytest.approx(4.089e9, rel=1e-3)


def test_layers_of_the_cifar_nets():
    found = {layer.name: nets for _, layer, nets in chosen(("cifar",), ("conv2d",))}
    assert set(found) == {
        "3x3 3-16 @32", "3x3 16-16 @32", "3x3 32-32 @16", "3x3 64-64 @8", "3x3/2 16-32 @32", "3x3/2 32-64 @16",
        "1x1/2 16-32 @32", "1x1/2 32-64 @16",
    }  # fmt: skip
    assert {"resnet20", "resnet110", "plain56", "resnet20-B"} <= set(found["3x3 16-16 @32"])
    assert all(net.endswith("-B") for net in found["1x1/2 16-32 @32"])


def test_unknown_names_are_told():
    with pytest.raises(ConfigError, match="did you mean 'resnet"):
        chosen(("resnet51",), ("conv",))
    with pytest.raises(ConfigError, match="did you mean 'conv2d'"):
        chosen(("cifar",), ("conv2",))


@pytest.mark.parametrize("op", layers.MEASURED)
def test_every_op_has_arrays_that_its_rule_takes(op):
    layer = next(layer for _, layer, _ in chosen(("all",), (op,)))
    if layer.kind == "update":
        layer = Layer("update", 1, 1000)
    case = make_case(op, layer, 2, "float32")
    specs = RULES[op](*case.arrays, **case.params)
    assert all(dtype == "float32" for _, dtype in specs if dtype.kind == "f")
    assert CONTRACTS[op].operations(case) > 0
    assert CONTRACTS[op].bytes(case, "float32") > 0
    again = make_case(op, layer, 2, "float32")
    assert all((a == b).all() for a, b in zip(case.arrays, again.arrays, strict=True))


def test_the_oracle_answers_for_the_timed_arrays_where_it_can():
    problem = Problem("conv2d", Layer("conv", 8, 4, 4, 3), ("resnet20",), 3, "float32")
    assert problem.sample is None
    assert 0 < problem.check("numpy") <= problem.allowed()
    assert "all values with the oracle" in problem.checked


@pytest.mark.parametrize(
    ("op", "layer"),
    [("conv2d_weight", Layer("conv", 8, 4, 4, 3)), ("max_pool2d", Layer("max_pool", 10, 6, window=3, stride=2))],
)
def test_beyond_its_means_it_answers_for_a_sample_and_numpy_for_the_rest(op, layer, monkeypatch, own_kernels):
    monkeypatch.setattr("tinyres.bench.problems.ORACLE_WORK", 1e4)
    problem = Problem(op, layer, ("resnet20",), 20, "float32")
    assert problem.sample is not None
    assert problem.sample.batch < 20
    assert problem.sample.sample is None
    problem.check("numba" if op == "conv2d_weight" else "numpy")

    right = registry.find(op, "numpy").function

    @own_kernels.kernel(op, "planted")
    def wrong_in_a_large_batch(*arrays, out, **params):
        right(*arrays, out=out, **params)
        if len(arrays[0]) == 20:
            (out[0] if isinstance(out, tuple) else out)[0, 1, 1, 1] += 1

    with pytest.raises(NonconformingError, match=r"batch 20.*at \[0, 1, 1, 1\]"):
        problem.check("planted")
