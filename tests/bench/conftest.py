"""A roof that costs no time."""

from __future__ import annotations

import pytest

from tinyres.bench import measure, roof


@pytest.fixture
def quick_roof(monkeypatch):
    """The roof of a machine that nobody has to wait for."""

    class Still(roof.Roof):
        def sample(self, count=1):
            self.peaks.append(100.0)
            self.bandwidths.append(10.0)

    def still(dtype):
        found = Still(dtype, 1, 1 << 20)
        found.sample()
        return found

    monkeypatch.setattr(measure, "measure", still)
