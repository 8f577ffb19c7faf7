"""Which kernel runs: choices, their order, groups, names that do not exist, and kernels of one's own."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from tinyres import Tensor, kernels, ops, use
from tinyres.errors import DtypeError, KernelError
from tinyres.kernels import launch, registry
from tinyres.kernels.registry import resolve

X = np.array([-1.0, 2.0])


@pytest.fixture
def environment(monkeypatch):
    return lambda text: monkeypatch.setenv("TINYRES_KERNELS", text)


@pytest.fixture
def mine(own_kernels):
    """A kernel `mine` of relu, and the list of its calls."""
    calls = []

    @own_kernels.kernel("relu", "mine")
    def relu(x):
        calls.append(x.shape)
        return np.maximum(x, 0)

    return calls


def running(op="relu", dtype="float64"):
    return resolve(op, dtype, "cpu").name


USUAL = running()
ON_GPU = ("conv2d_stats", "bn_relu_eval", "bn_add_relu_eval")  # fusions that elsewhere run as what they are made of


# ---- choosing ------------------------------------------------------------------------------------------------------
def test_use_chooses_inside_and_only_there(mine):
    with use(relu="mine"):
        assert ops.relu(X).numpy().tolist() == [0, 2]
    ops.relu(X)
    assert mine == [(2,)]


def test_use_is_nested_and_the_innermost_wins(mine):
    with use(relu="naive", tanh="naive"):
        with use(relu="mine"):
            assert (running(), running("tanh")) == ("mine", "naive")
        assert running() == "naive"
    assert running() == USUAL


def test_use_ends_with_an_exception(mine):
    with pytest.raises(ZeroDivisionError), use(relu="mine"):
        raise ZeroDivisionError
    assert running() == USUAL
    with pytest.raises(KernelError), use(relu="mine", tanh="nonsense"):
        pass
    assert running() == USUAL


def test_use_as_a_decorator(mine):
    @use(relu="mine")
    def f():
        return running()

    assert [f(), f(), running()] == ["mine", "mine", USUAL]


def test_exactly_those_ops():
    with use(conv2d="naive"):
        assert running("conv2d") == "naive"
        assert running("conv2d_input") != "naive"


def test_groups():
    convolutions = ["conv2d", "conv2d_input", "conv2d_weight"]
    with use(conv="naive"):
        assert [op for op in registry.ops() if op not in ON_GPU and running(op) == "naive"] == convolutions
    with use(all="naive"):
        assert {running(op) for op in registry.ops()} == {"naive"}


@pytest.mark.parametrize("names", [["all", "conv", "conv2d"], ["conv2d", "conv", "all"]])
def test_an_op_beats_its_group_and_a_group_all(names, own_kernels):
    for op in ("conv2d", "conv2d_input"):
        own_kernels.kernel(op, "mine")(print)
    own_kernels.kernel("conv2d_weight", "mine")(print)
    wanted = {"all": "naive", "conv": "mine", "conv2d": "numpy"}
    with use(**{name: wanted[name] for name in names}):
        assert [running(op) for op in ("tanh", "conv2d_input", "conv2d")] == ["naive", "mine", "numpy"]


def test_all_takes_the_ops_that_a_backend_has(mine):
    with use(all="mine"):
        assert running() == "mine"
        assert running("tanh") != "mine"
    with use(tanh="naive"), use(all="mine"):
        assert running("tanh") == "naive"


# ---- the environment -----------------------------------------------------------------------------------------------
def test_the_environment_chooses(environment, mine):
    environment(" relu = mine , conv=naive,")
    assert (running(), running("conv2d_input"), running("tanh")) == ("mine", "naive", running("tanh", "float32"))


def test_use_beats_the_environment_which_beats_the_default(environment, mine):
    environment("relu=mine,tanh=naive")
    with use(relu="naive"):
        assert (running(), running("tanh")) == ("naive", "naive")
    environment("")
    assert running() == USUAL


@pytest.mark.parametrize("text", ["relu", "relu=", "=mine", "relu:mine"])
def test_an_environment_that_cannot_be_read(environment, text):
    environment(text)
    with pytest.raises(
        KernelError, match=f"cannot read '{text}' as a choice of kernel: write op=kernel, as in conv2d="
    ):
        ops.relu(X)


def test_an_environment_that_names_nothing(environment):
    environment("relu=numpi")
    with pytest.raises(KernelError, match=r"relu has no kernel 'numpi'; did you mean 'numpy'\?"):
        ops.relu(X)


# ---- names that do not exist ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"conv2": "numpy"}, r"^there is no op 'conv2'; did you mean 'conv2d'\?\.$"),
        ({"relu": "nunpy"}, r"^relu has no kernel 'nunpy'; did you mean 'numpy'\?\.$"),
        ({"relu": "zzz"}, r"^relu has no kernel 'zzz'; known: .*naive.*numpy.*\.$"),
        ({"conv": "zzz"}, r"^conv2d has no kernel 'zzz'; known: "),
        ({"all": "nunba"}, r"^there is no backend 'nunba'; did you mean 'numba'\?\.$"),
        ({"relu": "composed"}, r"^relu has no kernel 'composed'"),
        ({"all": "composed"}, r"^there is no backend 'composed'"),
    ],
)
def test_unknown_names(choice, message):
    with pytest.raises(KernelError, match=message), use(**choice):
        pass


def test_unknown_ops_elsewhere(own_kernels):
    with pytest.raises(KernelError, match=r"there is no op 'rellu'; did you mean 'relu'\?"):
        own_kernels.kernel("rellu", "mine")
    with pytest.raises(KernelError, match=r"there is no op 'rellu'; did you mean 'relu'\?"):
        launch("rellu", X)


def test_composed_is_for_fused_ops():
    with use(bn_relu="composed"):
        assert not registry.fuses("bn_relu", "float32", "cpu")
        assert registry.fuses("bn_add_relu", "float32", "cpu")


# ---- kernels that cannot run ---------------------------------------------------------------------------------------
def test_an_unavailable_kernel_says_why_and_never_falls_back(own_kernels, environment):
    own_kernels.kernel("relu", "gone", requires=lambda: "no such chip here")(np.abs)
    message = r"^kernel 'gone' of relu is not available: no such chip here\.$"
    with pytest.raises(KernelError, match=message), use(relu="gone"):
        pass
    environment("relu=gone")
    with pytest.raises(KernelError, match=message):
        ops.relu(X)
    (row,) = [row for row in registry.table() if row["kernel"] == "gone"]
    assert "no such chip here" in row["missing"]


def test_an_unavailable_backend_says_why(monkeypatch, own_kernels):
    why = "its library is missing; install it"
    backend = SimpleNamespace(MODULES={"relu": "tinyres.nowhere"}, missing=lambda: why)
    monkeypatch.setitem(registry.BACKENDS, "far", "tinyres.far_backend")
    monkeypatch.setitem(sys.modules, "tinyres.far_backend", backend)
    with pytest.raises(KernelError, match="kernel 'far' of relu is not available: its library is missing; install it"):
        registry.find("relu", "far")
    assert "far" in registry.names("relu")
    assert [row["missing"] is not None for row in registry.table() if row["kernel"] == "far"] == [True]
    assert running() == USUAL


def test_a_kernel_of_other_types_or_another_device(own_kernels):
    own_kernels.kernel("relu", "half", dtypes=("float16",))(np.abs)
    own_kernels.kernel("relu", "far", device="cuda")(np.abs)
    with use(relu="half"), pytest.raises(DtypeError, match="kernel 'half' of relu takes float16, not float64"):
        ops.relu(X)
    with (
        use(relu="far"),
        pytest.raises(KernelError, match="kernel 'far' of relu runs on cuda arrays, and these are cpu"),
    ):
        ops.relu(X)
    with use(relu="half"):
        assert ops.relu(np.array([-1], np.float16)).numpy() == [1]


def test_types_without_a_kernel():
    with pytest.raises(KernelError, match="no kernel of relu takes float16 arrays on cpu; `tinyres kernels` lists"):
        ops.relu(np.ones(3, np.float16))


# ---- the table -----------------------------------------------------------------------------------------------------
def test_the_table_has_every_op_once_as_default():
    rows = kernels.table()
    assert [row["op"] for row in rows if row["default"]] == [op for op in registry.ops() if op not in ON_GPU]
    assert len({(row["op"], row["kernel"]) for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == {"op", "kernel", "device", "dtypes", "precision", "default", "missing"}
        if row["missing"] is None:
            assert {"float32", "float64"} <= set(row["dtypes"])
        if row["default"]:
            assert row["missing"] is None
            assert row["kernel"] == running(row["op"])


def test_own_kernels_stand_in_the_table(mine):
    (row,) = [row for row in kernels.table() if row["kernel"] == "mine"]
    assert row == {
        "op": "relu",
        "kernel": "mine",
        "device": "cpu",
        "dtypes": ("float32", "float64"),
        "precision": "full",
        "default": False,
        "missing": None,
    }


# ---- threads and processes -----------------------------------------------------------------------------------------
def test_choices_belong_to_their_thread(mine):
    inside, done = threading.Event(), threading.Event()

    def chooser():
        with use(relu="mine"):
            inside.set()
            assert done.wait(10)
            return running()

    with ThreadPoolExecutor() as pool:
        other = pool.submit(chooser)
        assert inside.wait(10)
        assert running() == USUAL
        with use(relu="naive"):
            done.set()
            assert other.result() == "mine"
            assert running() == "naive"
            assert pool.submit(running).result() == USUAL


def test_a_graph_made_in_one_thread_goes_backward_in_another(launched):
    x = Tensor(np.ones((2, 2)), True)
    with use(matmul="naive"):
        y = (x @ x).sum()
    with ThreadPoolExecutor() as pool:
        pool.submit(y.backward).result()
    assert {name for op, name in launched if op == "matmul"} == {"naive"}
    assert x.grad.numpy().tolist() == [[4, 4], [4, 4]]


LAZY = """
import sys
import numpy as np
import tinyres
parts = ("tinyres.kernels.naive.", "tinyres.kernels.on_")
loaded = lambda: {m for m in sys.modules if m.startswith(parts) and m.count(".") == 3}
assert not loaded(), loaded()
with tinyres.use(tanh="naive"):
    tinyres.ops.tanh(np.ones(3))
assert loaded() == {"tinyres.kernels.naive.elementwise"}, loaded()
assert not {"numba", "cupy"} & set(sys.modules)
"""


def test_kernels_are_imported_when_they_are_asked_for():
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
