"""Logs of experiments: what is written is read again, and a missing one is explained."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.errors import DataError
from tinyres.flow.logs import log_folder, read_log, write_log


def test_written_and_read(tmp_path):
    numbers = {"error": np.float32(0.5), "curve": np.arange(3), "nested": {"a": [np.int64(1)]}}
    path = write_log("depth", numbers, made_by="python x.py", data="digits", seeds=range(2), folder=tmp_path)
    assert path == tmp_path / "depth.json"
    log = read_log("depth", tmp_path)
    assert (log["error"], log["curve"], log["nested"]) == (0.5, [0, 1, 2], {"a": [1]})
    assert (log["made_by"], log["data"], log["seeds"]) == ("python x.py", "digits", [0, 1])
    assert {"date", "machine", "versions"} <= log.keys()


def test_a_missing_or_broken_log_is_explained(tmp_path):
    (tmp_path / "depth.json").write_text("{")
    with pytest.raises(DataError, match=r"no log 'deph'.*depth"):
        read_log("deph", tmp_path)
    with pytest.raises(DataError, match="not JSON"):
        read_log("depth", tmp_path)
    assert log_folder().parts[-2:] == ("lessons", "logs")
