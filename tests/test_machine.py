"""What is asked of the machine many times a step."""

from __future__ import annotations

import os

import pytest

from tinyres.machine import variable


@pytest.mark.parametrize("value", ["relu=naive", "", "relu=näive", "a\nb"])
def test_a_variable_is_read_as_os_environ_does(value, monkeypatch):
    monkeypatch.delenv("TINYRES_TRIAL", raising=False)
    assert variable("TINYRES_TRIAL") is None
    monkeypatch.setenv("TINYRES_TRIAL", value)
    assert variable("TINYRES_TRIAL") == os.environ.get("TINYRES_TRIAL") == value
    assert variable("TINYRES_TRIAL", {"TINYRES_TRIAL": "other"}) == "other"
    assert variable("TINYRES_TRIAL", {}) is None
