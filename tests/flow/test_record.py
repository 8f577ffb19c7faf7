"""The file: whole, checked, the same bytes, one sentence for what is wrong with it."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from tinyres.errors import FlowError
from tinyres.flow import Record


@pytest.fixture
def record(rng):
    columns = {
        "step": [0, 10, 20],
        "loss": [2.3, 1.1, np.nan],
        "layer": ["conv1", "layer1.0.conv1", "fc"],
        "kind": ["Conv2d", "Conv2d", "Linear"],
        "depth": [1, 2, 3],
        "gradient_norm": rng.uniform(1, 2, (3, 3)),
        "parameter": ["conv1.weight", "fc.weight", "fc.bias", "scale"],
        "parameter_layer": [0, 2, 2, -1],
        "update_norm": rng.uniform(1, 2, (3, 4)),
        "block": ["layer1.0"],
        "block_depth": [2],
        "split_cosine": [[0.1], [0.2], [0.3]],
    }
    return Record({"model": "resnet8", "data": "digits", "seed": 3}, columns)


def test_back_from_the_file(record, tmp_path):
    path = record.write(tmp_path)
    assert path == tmp_path / "flow.npz"
    for back in (Record.read(tmp_path), Record.read(path), Record.read(str(path)), pickle.loads(pickle.dumps(record))):
        assert back.meta == record.meta
        for name, array in record.columns.items():
            np.testing.assert_array_equal(getattr(back, name), array)
            assert back.columns[name].dtype == array.dtype
    assert back.title == "resnet8 on digits, seed 3"


def test_same_record_same_bytes(record, tmp_path):
    assert record.write(tmp_path / "a").read_bytes() == record.write(tmp_path / "b").read_bytes()


def test_opens_without_tinyres(record, tmp_path):
    with np.load(record.write(tmp_path), allow_pickle=False) as archive:
        assert str(archive["format"]) == "tinyres flow 1"
        assert json.loads(str(archive["meta"])) == record.meta
        assert archive["gradient_norm"].dtype == np.float64
        assert list(archive["layer"]) == ["conv1", "layer1.0.conv1", "fc"]


def test_what_was_not_measured_is_nan(record):
    assert np.isnan(record.activation_norm).all()
    assert record.activation_norm.shape == (3, 3)
    assert record.weight_max.shape == (3, 4)
    plain = Record({}, {"step": [0], "layer": ["fc"]})
    assert plain.block.shape == (0,)
    assert plain.split_error.shape == (1, 0)


def test_select(record):
    some = record.select("layer*", steps=[12])
    assert list(some.layer) == ["layer1.0.conv1"]
    assert list(some.step) == [10]
    assert len(some.parameter) == 0
    some = record.select(kinds="Linear")
    assert list(some.parameter) == ["fc.weight", "fc.bias"]
    assert list(some.parameter_layer) == [0, 0]
    np.testing.assert_array_equal(some.update_norm, record.update_norm[:, 1:3])
    np.testing.assert_array_equal(some.gradient_norm, record.gradient_norm[:, 2:])
    some = record.select(steps=[-1, 0])
    assert list(some.step) == [0, 20]
    assert list(some.parameter_layer) == [0, 2, 2, -1]
    assert list(record.select(["fc", "conv?"]).layer) == ["conv1", "fc"]


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        ({"layers": "conv9"}, "no layer is called 'conv9'; did you mean 'conv1'?"),
        ({"layers": []}, "nothing of resnet8 on digits, seed 3 is left"),
        ({"kinds": []}, "no kind was asked for; known: Conv2d, Linear."),
        ({"steps": [-2]}, "there is no step -2; they count from 0, and -1 is the last; recorded are 3 steps"),
        ({"kinds": "BatchNorm"}, "no kind is called 'BatchNorm'; known: Conv2d, Linear."),
        ({"blocks": "layer9.0"}, "no block is called 'layer9.0'; did you mean 'layer1.0'?"),
        ({"steps": []}, "no step of resnet8 on digits, seed 3 was asked for; recorded are 3 steps from 0 to 20."),
    ],
)
def test_an_empty_selection_is_a_sentence(record, selection, sentence):
    with pytest.raises(FlowError) as caught:
        record.select(**selection)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({}, "holds no step"),
        ({"step": [0, 0]}, "do not increase"),
        ({"step": [0], "loss": [1.0, 2.0]}, "array loss of the record has shape [2], and 1 recorded steps want [1]"),
        ({"step": [0.5]}, "array step of the record is not of whole numbers"),
        ({"step": [0], "gradient_nrom": [[1.0]]}, "no array 'gradient_nrom'; did you mean 'gradient_norm'?"),
        ({"step": [0], "layer": ["a"], "gradient_norm": [[1, 2]]}, "1 recorded steps and 1 layers want [1, 1]"),
    ],
)
def test_arrays_that_do_not_fit(columns, sentence):
    with pytest.raises(FlowError) as caught:
        Record({}, columns)
    assert sentence in str(caught.value)


def test_files_that_are_no_records(record, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    cases = {
        run: "holds no record of gradient flow (flow.npz); train with `tinyres train --flow`, or name a checkpoint",
        tmp_path / "nothing.npz": "does not exist",
    }
    (text := tmp_path / "text.npz").write_text("step,loss\n")
    cases[text] = "is damaged or not a record"
    cut = tmp_path / "cut.npz"
    cut.write_bytes(record.write(tmp_path / "whole.npz").read_bytes()[:-200])
    cases[cut] = "is damaged or not a record"
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    cases[tmp_path / "other.npz"] = "is an archive of another program"
    np.savez(tmp_path / "newer.npz", format="tinyres flow 2")
    cases[tmp_path / "newer.npz"] = "has format 'tinyres flow 2'; a record of format 'tinyres flow 1' is wanted"
    np.savez(tmp_path / "lacks.npz", format="tinyres flow 1", meta="{}")
    cases[tmp_path / "lacks.npz"] = "lacks the array 'activation_max'"
    np.savez(tmp_path / "bad.npz", format="tinyres flow 1", meta="{}", **record.columns | {"loss": np.ones(2)})
    cases[tmp_path / "bad.npz"] = "is damaged: array loss of the record has shape [2]"
    np.savez(tmp_path / "pickle.npz", format="tinyres flow 1", meta=np.array({"a": 1}, object))
    cases[tmp_path / "pickle.npz"] = "is damaged or not a record"
    np.save(tmp_path / "array.npy", np.ones(3))
    cases[tmp_path / "array.npy"] = "array.npy is damaged or not a record of gradient flow: it is no .npz archive."
    (renamed := tmp_path / "array.npz").write_bytes((tmp_path / "array.npy").read_bytes())
    cases[renamed] = "it is no .npz archive"
    for place, name in ((4, "version"), (6, "flags"), (8, "method")):  # of the first file, in the table at the end
        whole = bytearray((tmp_path / "whole.npz").read_bytes())
        whole[whole.index(b"PK\x01\x02") + place + 2] = 99
        (broken := tmp_path / f"{name}.npz").write_bytes(whole)
        cases[broken] = "is damaged or not a record"
    holders = record.columns | {"parameter_layer": [0, 2, 77, -1]}
    np.savez(tmp_path / "holder.npz", format="tinyres flow 1", meta="{}", **holders)
    cases[tmp_path / "holder.npz"] = "is damaged: parameter_layer of the record has 77, and there are 3 layers"
    turned = record.columns | {"gradient_norm": record.gradient_norm + 1j}
    np.savez(tmp_path / "complex.npz", format="tinyres flow 1", meta="{}", **turned)
    cases[tmp_path / "complex.npz"] = "is damaged: array gradient_norm of the record is complex128; float64 is wanted"
    for path, sentence in cases.items():
        with pytest.raises(FlowError) as caught:
            Record.read(path)
        assert sentence in str(caught.value)
        assert str(caught.value).count("\n") == 0


def test_a_folder_that_cannot_be_written(record, tmp_path):
    with pytest.raises(FlowError, match=r"cannot write .*flow\.npz: No such file"):
        record.write(tmp_path / "missing" / "flow.npz")


def test_names_that_are_empty_are_no_hint():
    with pytest.raises(FlowError, match=r"no kind was asked for\.$"):
        Record({}, {"step": [0], "layer": ["a"], "kind": [""]}).select(kinds=[])
