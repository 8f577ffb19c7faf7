"""A roof that costs no time."""

from __future__ import annotations

import pytest

from tinyres.bench import roof


@pytest.fixture
def quick_roof(monkeypatch):
    """The roof of a machine that nobody has to wait for."""

    monkeypatch.setattr(roof, "measure", lambda dtype: roof.Roof(dtype, 1, 1, [100.0], [10.0]))
    monkeypatch.setattr(roof.Roof, "sample", lambda self: None)
