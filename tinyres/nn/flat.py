"""One flat buffer for the parameters of a net, one for their gradients.

Every parameter's `.data` is a view into the first and its `.slot`, where backward stores its gradient, a view into the
second. So the update of a whole net is one call of one kernel, and an all-reduce would be another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tinyres.errors import DtypeError
from tinyres.kernels.launch import Array, array_module
from tinyres.tensor import Tensor


class Parameter(Tensor):
    """A leaf that training changes."""

    __slots__ = ("flat", "start")

    def __init__(self, array: Array) -> None:
        super().__init__(array, requires_grad=True)
        self.flat: Flat | None = None
        self.start = 0  # place of its first value in the flat buffer

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.flat, self.start = None, 0

    def is_flat(self) -> bool:
        """Whether its array and its slot lie in its flat buffer: not in a copy, nor after `p.data = array`."""
        return (
            self.flat is not None
            and self.slot is not None
            and self.data.base is self.flat.data
            and self.slot.base is self.flat.grad
        )


class Flat:
    """The two buffers of some parameters, in the order in which they are given.

    Parameters
    ----------
    parameters : sequence of Parameter
        All of one dtype. Their values are copied into the buffer; from then on their arrays are views of it.

    Attributes
    ----------
    data, grad : ndarray, shape [total size]
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        dtypes = {p.dtype for p in parameters}
        if len(dtypes) > 1:
            raise DtypeError(
                f"parameters of {' and '.join(sorted(map(str, dtypes)))} cannot share a buffer; use astype."
            )
        xp = array_module(parameters[0].data)
        total = sum(p.size for p in parameters)
        self.data, self.grad = (xp.zeros(total, parameters[0].dtype) for _ in range(2))
        start = 0
        for parameter in parameters:
            part = slice(start, start + parameter.size)
            values, parameter.slot = (buffer[part].reshape(parameter.shape) for buffer in (self.data, self.grad))
            values[...] = parameter.data
            parameter.data, parameter.flat, parameter.start = values, self, start
            if parameter.grad is not None:
                parameter.slot[...] = parameter.grad.data
                parameter.grad = Tensor(parameter.slot)
            start += parameter.size


def runs(parameters: Sequence[Parameter]) -> Iterator[tuple[Flat, slice]]:
    """Stretches of flat buffers that these parameters fill without a gap: one, for all parameters of a net."""
    flat, start, stop = None, 0, 0
    for parameter in parameters:
        if flat is not None and parameter.flat is flat and parameter.start == stop:
            stop += parameter.size
            continue
        if flat is not None:
            yield flat, slice(start, stop)
        flat, start = parameter.flat, parameter.start
        stop = start + parameter.size
    if flat is not None:
        yield flat, slice(start, stop)
