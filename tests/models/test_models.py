"""The CIFAR nets: their parameters, weights, gradients, and names that do not exist."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from tinyres import Tensor, grad, models, nn, ops
from tinyres.errors import ConfigError, ShapeError

PARAMETERS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}


def count(model):
    return sum(p.size for p in model.parameters())


def worked_out(depth, shortcut, classes=10, channels=3):
    """Parameters by the description in the paper, with batch norm (2 a channel) after each convolution."""
    n, total, before = (depth - 2) // 6, 9 * channels * 16 + 2 * 16, 16
    for width in (16, 32, 64):
        for block in range(n):
            total += 9 * before * width + 9 * width * width + 4 * width
            if shortcut == "C" or (shortcut == "B" and before != width):
                total += before * width + 2 * width
            before = width
            assert block < n
    return total + 64 * classes + classes


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, pytest.param(1202, marks=pytest.mark.slow)])
def test_parameters_are_those_of_the_paper(depth):
    assert count(models.create(f"resnet{depth}")) == PARAMETERS[depth] == worked_out(depth, "A")
    if depth <= 110:
        assert count(models.create(f"plain{depth}")) == PARAMETERS[depth]
        assert count(models.create(f"resnet{depth}", shortcut="B")) == PARAMETERS[depth] + 2_752
        assert count(models.create(f"resnet{depth}", shortcut="C")) == worked_out(depth, "C")
        assert count(models.create(f"resnet{depth}", shortcut="none")) == PARAMETERS[depth]


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_classes_and_channels(classes, channels, rng):
    model = models.create("resnet8", num_classes=classes, in_channels=channels, shortcut="B")
    assert count(model) == worked_out(8, "B", classes, channels)
    assert model(rng.standard_normal((3, 9, 7, channels)).astype(np.float32)).shape == (3, classes)


def test_default_is_ten_classes_of_colour_images_with_option_a():
    default = models.create("resnet8")
    explicit = models.create("resnet8", shortcut="A", num_classes=10, in_channels=3, seed=0)
    for name, array in default.state_dict().items():
        np.testing.assert_array_equal(array, explicit.state_dict()[name])


def test_depth_is_the_number_of_weight_layers():
    for depth in (8, 20, 56):
        for name in (f"resnet{depth}", f"plain{depth}"):
            layers = [m for _, m in models.create(name).named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
            assert len(layers) == depth


def test_sizes_halve_where_widths_double(rng):
    model, sizes = models.create("resnet20").eval(), {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda m, i, output, name=name: sizes.setdefault(name, output.shape[1:]))
    model(rng.standard_normal((1, 32, 32, 3)).astype(np.float32))
    assert [sizes[f"layer{k}"] for k in (1, 2, 3)] == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]
    assert sizes["conv1"] == (32, 32, 16)
    assert sizes["layer2.0.conv1"] == (16, 16, 32)  # the first convolution of the stage has the stride


NAMES = (
    r"(conv1\.weight|bn1\.\w+|layer[123]\.\d+\.(conv[12]\.weight|bn[12]\.\w+|downsample\.0\.weight|downsample\.1\.\w+)"
)
NAMES += r"|fc\.(weight|bias))"


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
def test_names_are_those_of_torchvision(shortcut):
    state = models.create("resnet8", shortcut=shortcut).state_dict()
    assert all(re.fullmatch(NAMES, name) for name in state)
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer3.0.bn2.bias", "fc.weight"} <= set(state)
    projections = sorted(name for name in state if name.endswith("downsample.0.weight"))
    stages = {"A": "", "none": "", "B": "23", "C": "123"}[shortcut]
    assert projections == [f"layer{stage}.0.downsample.0.weight" for stage in stages]


# ---- weights -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shortcut", ["A", "C"])
def test_every_weight_has_he_s_deviation(shortcut):
    for name, p in models.create("resnet20", shortcut=shortcut).named_parameters():
        if p.ndim > 1:  # filters and the matrix: normal, by fan-in
            # He's factor of 2 before a ReLU; the last layer has none after it
            spread = math.sqrt((2 if p.ndim == 4 else 1 / 3) / math.prod(p.shape[:-1]))
            assert abs(p.data.std() / spread - 1) < 5 / math.sqrt(2 * p.size), name
            assert abs(p.data.mean()) < 5 * spread / math.sqrt(p.size), name
        else:  # batch norm starts as the identity, the bias at 0
            assert (p.data == (0 if name.endswith("bias") else 1)).all(), name


def test_running_averages_start_at_0_and_1():
    for name, array in models.create("resnet8", shortcut="B").named_buffers():
        assert (array == (0 if name.endswith("mean") else 1)).all()


def test_weights_are_a_function_of_the_seed():
    same, again, other = (models.create("resnet8", seed=seed).state_dict() for seed in (7, 7, 8))
    for name in same:
        np.testing.assert_array_equal(same[name], again[name])
        if same[name].ndim > 1:
            assert (same[name] != other[name]).mean() > 0.99
    layers = [a.ravel()[:100] for a in same.values() if a.ndim == 4]
    assert all((a != b).all() for i, a in enumerate(layers) for b in layers[:i])  # no layer repeats another


def test_residual_and_plain_nets_of_one_seed_start_with_the_same_weights():
    plain, residual = models.create("plain20", seed=1).state_dict(), models.create("resnet20", seed=1).state_dict()
    assert plain.keys() == residual.keys()
    for name in plain:
        np.testing.assert_array_equal(plain[name], residual[name])


@pytest.mark.parametrize(("name", "reaches"), [("plain20", False), ("resnet20", True)])
def test_only_residual_nets_have_a_way_around_their_blocks(name, reaches, rng):
    """With every block's last batch norm set to 0 the image passes by the shortcuts, or not at all."""
    model = models.create(name).eval()
    for key, parameter in model.named_parameters():
        if "bn2." in key:
            parameter.data[...] = 0
    logits = model(rng.standard_normal((2, 8, 8, 3)).astype(np.float32)).numpy()
    assert (np.abs(logits[0] - logits[1]).max() > 1e-3) == reaches


# ---- gradients -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "shortcut"), [("resnet20", "A"), ("resnet20", "B"), ("resnet20", "C"), ("plain20", "none")]
)
def test_every_parameter_receives_a_gradient(name, shortcut, training, rng):
    model = models.create(name, shortcut=shortcut).train(training)
    images = rng.standard_normal((4, 8, 8, 3)).astype(np.float32)
    loss = ops.softmax_cross_entropy(model(images), [0, 1, 2, 3])
    loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        gradient = parameter.grad.numpy()
        assert np.isfinite(gradient).all(), key
        assert np.abs(gradient).max() > 0, key
        assert gradient.shape == parameter.shape


@pytest.mark.parametrize("shortcut", ["A", "B", "none"])
def test_the_gradient_of_a_net_by_differences(shortcut, rng):
    """Along the gradient itself, in float64: the loss changes by its squared length."""
    model = models.create("resnet8", shortcut=shortcut, num_classes=3).astype(np.float64)
    images, labels = rng.standard_normal((4, 8, 8, 3)), [0, 1, 2, 1]

    def loss():
        return ops.softmax_cross_entropy(model(images), labels)

    loss().backward()
    flat = model.parameters()[0].flat
    start, direction = flat.data.copy(), flat.grad / np.linalg.norm(flat.grad)
    values = []
    for step in (1e-5, -1e-5):
        flat.data[...] = start + step * direction
        values.append(loss().item())
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(np.linalg.norm(flat.grad), rel=1e-4)


def test_a_net_is_differentiated_twice_where_nothing_is_fused(rng):
    from tinyres import use

    model = models.create("resnet8", num_classes=2).astype(np.float64)
    x = Tensor(rng.standard_normal((2, 8, 8, 3)), True)
    with use(bn_relu="composed", bn_add_relu="composed"):
        g = grad(ops.softmax_cross_entropy(model(x), [0, 1]), x, create_graph=True)
        assert np.isfinite(grad((g * g).sum(), x).numpy()).all()


def test_training_and_evaluation_differ_and_evaluation_is_by_image(rng):
    model = models.create("resnet8")
    images = rng.standard_normal((4, 8, 8, 3)).astype(np.float32)
    training = model(images).numpy()
    together = model.eval()(images).numpy()
    assert np.abs(training - together).max() > 1e-3
    alone = np.concatenate([model(images[i : i + 1]).numpy() for i in range(4)])
    np.testing.assert_allclose(alone, together, atol=1e-4)


# ---- names ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet21", {}, "a CIFAR net has 6n . 2 layers and 21 is not such a number; nearest: 20, 26"),
        ("plain19", {}, "19 is not such a number; nearest: 14, 20"),
        ("resnet2", {}, "2 is not such a number; nearest: 8, 14"),
        ("resnet0", {}, "0 is not such a number"),
        ("resnet50", {}, "resnet50 is an ImageNet net, which this version does not have; known: resnet20, "),
        ("plain34", {}, "plain34 is an ImageNet net, which this version does not have"),
        ("vgg", {}, "there is no model 'vgg'; known: .*resnet20"),
        ("resnt20", {}, r"there is no model 'resnt20'; did you mean 'resnet20'\?"),
        ("ResNet20", {}, r"there is no model 'ResNet20'; did you mean 'resnet20'\?"),
        ("resnet20 ", {}, r"there is no model 'resnet20 '; did you mean 'resnet20'\?"),
        ("", {}, "there is no model ''"),
        ("plain20", {"shortcut": "A"}, "plain20 has no shortcuts; for shortcut 'A' use resnet20"),
        ("resnet20", {"shortcut": "D"}, "there is no shortcut 'D'; known: A, B, C, none"),
        ("resnet20", {"shortcut": "a"}, "there is no shortcut 'a'; known: A, B, C, none"),
        ("resnet20", {"num_classes": 0}, "num_classes is 0; 1 or more are wanted"),
        ("resnet20", {"in_channels": 0}, "in_channels is 0; 1 or more are wanted"),
    ],
)
def test_names_that_do_not_exist(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        models.create(name, **settings)


def test_any_whole_n_will_do():
    assert {"resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"} <= set(models.names())
    assert count(models.create("resnet26")) == worked_out(26, "A")
    assert all(re.fullmatch(r"(resnet|plain)\d+", name) for name in models.names())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 32, 32), r"conv2d: x \[2, 3, 32, 32\] has 32 channels .* takes 3\. x looks channels first"),
        ((2, 32, 32, 1), r"x \[2, 32, 32, 1\] has 1 channels and w \[3, 3, 3, 16\] takes 3"),
        ((32, 32, 3), r"x has shape \[32, 32, 3\]; 4 dimensions \[N, H, W, C\] are wanted"),
    ],
)
def test_images_that_do_not_fit(shape, message):
    with pytest.raises(ShapeError, match=message):
        models.create("resnet8")(np.zeros(shape, np.float32))
