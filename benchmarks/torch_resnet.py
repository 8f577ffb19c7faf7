"""The CIFAR nets of He et al. 2015 in PyTorch, for comparisons: architecture and tensor names of `tinyres.models`."""

from __future__ import annotations

import re

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3x3 convolutions; shortcut A (subsample, zeros), B (projection where the shape changes), C (always), none."""

    def __init__(self, before: int, width: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut, self.stride, self.new = shortcut, stride, width - before
        if shortcut == "C" or (shortcut == "B" and self.new):
            self.downsample = nn.Sequential(
                nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if hasattr(self, "downsample"):
            y = y + self.downsample(x)
        elif self.shortcut == "A" and self.new:
            y = y + F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        elif self.shortcut != "none":
            y = y + x
        return F.relu(y)


class CifarNet(nn.Module):
    """A net of 6n + 2 layers, images [N, C, H, W] -> logits [N, K]."""

    def __init__(self, depth: int, shortcut: str = "A", num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        before = WIDTHS[0]
        for stage, width in enumerate(WIDTHS, 1):
            blocks = []
            for position in range((depth - 2) // 6):
                blocks.append(Block(before, width, 2 if stage > 1 and position == 0 else 1, shortcut))
                before = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def create(name: str, shortcut: str = "default", **options: int) -> CifarNet:
    """A net by the name that it has in `tinyres.models`."""
    family, depth = re.fullmatch(r"(resnet|plain)(\d+)", name).groups()
    if shortcut == "default":
        shortcut = "none" if family == "plain" else "A"
    return CifarNet(int(depth), shortcut, **options)
