"""benchmarks/torch_recorder.py on a ResNet-18 in PyTorch as people write them: its numbers, and figures from them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_recorder import recording  # noqa: E402

from tinyres import flow  # noqa: E402
from tinyres.flow.figures.depth import against_depth  # noqa: E402
from tinyres.flow.figures.heat import heat_map  # noqa: E402
from tinyres.flow.figures.quantities import QUANTITIES  # noqa: E402
from tinyres.flow.figures.save import save  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]


class Block(nn.Module):
    """The basic block of ResNet-18, with ReLUs that work in place."""

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet18(nn.Module):
    """Table 1 of He et al. 2015, 18 layers."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = 64
        for stage, width in enumerate((64, 128, 256, 512), 1):
            first = Block(before, width, 1 if stage == 1 else 2)
            setattr(self, f"layer{stage}", nn.Sequential(first, Block(width, width, 1)))
            before = width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def train(model, path=None, steps=3):
    """SGD on random images, recorded or not; the gradient at fc's output of the first step."""
    torch.manual_seed(0)
    x, labels = torch.randn(4, 3, 32, 32), torch.tensor([1, 0, 3, 2])
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    seen = []

    def one():
        logits = model(x)
        logits.register_hook(seen.append)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if path is None:
        for _ in range(steps):
            one()
    else:
        with recording(model, path, every=2, meta={"model": "resnet18", "seed": 0}) as step:
            for _ in range(steps):
                model.eval()
                with torch.no_grad():
                    model(x)
                model.train()
                step(one(), lr=0.01)
    return seen[0].numpy()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    torch.manual_seed(1)
    bare = ResNet18()
    net = ResNet18()
    net.load_state_dict(bare.state_dict())
    fc = bare.fc.weight.detach().clone().numpy()
    path = tmp_path_factory.mktemp("torch") / "flow.npz"
    gradient = train(net, path)
    train(bare)
    return bare, net, path, gradient, fc


def test_the_record(recorded):
    bare, net, path, gradient, fc = recorded
    for (name, a), b in zip(bare.state_dict().items(), net.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    record = flow.Record.read(path)
    assert record.step.tolist() == [0, 2]
    assert record.meta["source"] == "pytorch"
    assert record.title == "resnet18, seed 0"
    assert "layer4.1.bn2" in record.layer.tolist()
    assert record.depth[-1] == 18 + 3  # the projections
    assert len(record.parameter) == 62
    assert len(record.block) == 0
    for name in ("activation_norm", "gradient_norm", "weight_norm", "weight_gradient_norm", "update_norm"):
        assert np.isfinite(getattr(record, name)).all(), name
        assert (getattr(record, name)[1] > 0).all(), name
    place = record.layer.tolist().index("fc")
    assert record.gradient_norm[0, place] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    place = record.parameter.tolist().index("fc.weight")
    assert record.weight_norm[0, place] == pytest.approx(np.linalg.norm(fc), rel=1e-5)
    assert record.layer[record.parameter_layer[place]] == "fc"
    assert flow.first_trouble(record) is None


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_figure_of_layers_is_drawn(recorded, name, tmp_path):
    record = flow.Record.read(recorded[2])
    for draw in (against_depth, heat_map) if name == "gradient" else (against_depth,):
        files = save(draw([record], QUANTITIES[name]), tmp_path, draw.__name__)
        assert {".png", ".svg", ".csv"} <= {path.suffix for path in files}
        assert all(path.stat().st_size > 200 for path in files)
