"""Who watches the graph as it is made, and listens to the parts of gradients."""

from __future__ import annotations

import numpy as np

from tinyres import Tensor
from tinyres.autograd import listening, unheard
from tinyres.function import unwatched, watching


def leaf(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


def values(tensor):
    return tensor.numpy().tolist()


def test_a_listener_hears_each_part_before_they_are_added():
    x = leaf(3.0)
    heard = []
    y = (x * x * 2.0 + x).sum()
    with listening(lambda source, edge, gradient: heard.append((source.name, gradient.item())) if edge is x else None):
        y.backward()
    assert sorted(heard) == [("add", 1.0), ("mul", 6.0), ("mul", 6.0)]
    assert values(x.grad) == [13.0]
    (x * x).sum().backward()
    assert len(heard) == 3, "it goes on listening after its block"


def test_several_watch_and_listen_and_stop_in_any_order():
    x = leaf(3.0)
    said = []

    def run():
        said.clear()
        (x * 2.0).sum().backward()
        return "".join(said)

    watchers = [watching(lambda node, *_, who=who: said.append(who)) for who in "ab"]
    listeners = [listening(lambda *_, who=who: said.append(who)) for who in "cd"]
    for context in (*watchers, *listeners):
        context.__enter__()
    assert run() == "abab" + "cdcd"  # two nodes each way
    with unwatched(), unheard():
        assert run() == ""
    watchers[0].__exit__(None, None, None)
    listeners[0].__exit__(None, None, None)
    assert run() == "bb" + "dd"
    watchers[1].__exit__(None, None, None)
    listeners[1].__exit__(None, None, None)
    assert run() == ""


def test_a_listener_hears_what_goes_to_results_too():
    x = leaf(2.0)
    middle = x * 3.0
    parts = []
    with listening(lambda source, edge, gradient: parts.append((edge, gradient.item()))):
        node = middle.node
        (middle * middle).sum().backward()
    assert [g for edge, g in parts if edge == (node, 0)] == [6.0, 6.0]
