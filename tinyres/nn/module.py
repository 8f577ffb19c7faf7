"""Module: a layer or a net, found by walking its attributes in the order in which they were assigned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from tinyres.errors import CheckpointError, ShapeError, nearest
from tinyres.kernels.launch import Array, array_module, moved, on_host
from tinyres.nn.flat import Flat, Parameter
from tinyres.tensor import Tensor

__all__ = ["ForwardHook", "Module", "Parameter", "as_input"]

ForwardHook = Callable[["Module", tuple[Any, ...], Any], None]


class Module:
    """Base of layers and nets. Assign Parameters and Modules to attributes; write `forward`.

    Class attributes
    ----------------
    buffers : tuple of str
        Names of attributes that are saved with the parameters, but not trained: arrays such as running averages.

    Examples
    --------
    >>> import numpy as np
    >>> from tinyres import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self):
    ...         self.scale = nn.Parameter(np.array([2.0], np.float32))
    ...
    ...     def forward(self, x):
    ...         return x * self.scale
    >>> Twice()(np.ones(3, np.float32)).numpy()
    array([2., 2., 2.], dtype=float32)
    """

    buffers: ClassVar[tuple[str, ...]] = ()
    training: bool = True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output; each Module writes its own."""
        raise ShapeError(f"{type(self).__name__} has no forward; write one.")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        output = self.forward(*inputs, **options)
        for hook in self.__dict__.get("_forward_hooks", ()):
            hook(self, inputs, output)
        return output

    def register_forward_hook(self, hook: ForwardHook) -> Callable[[], None]:
        """Call ``hook(module, inputs, output)`` after each forward; returns a function that takes it away again."""
        hooks = self.__dict__.setdefault("_forward_hooks", [])
        hooks.append(hook)
        return lambda: hooks.remove(hook) if hook in hooks else None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: not the hooks, which listen to this Module."""
        return {name: value for name, value in vars(self).items() if name != "_forward_hooks"}

    # ---- what is in it ---------------------------------------------------------------------------------------------
    def children(self) -> Iterator[tuple[str, Module]]:
        """Modules directly inside, with their names."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """The module itself (named `""`) and all inside, parents first."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def _named(self, pick: Callable[[Module], Iterator[tuple[str, Any]]]) -> Iterator[tuple[str, Any]]:
        for prefix, module in self.named_modules():
            for name, value in pick(module):
                yield f"{prefix}.{name}" if prefix else name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Trained tensors with names such as `layer1.0.conv1.weight`."""
        return self._named(lambda m: ((name, v) for name, v in vars(m).items() if isinstance(v, Parameter)))

    def parameters(self) -> list[Parameter]:
        """Trained tensors, each once, also where several Modules share it."""
        return list(dict.fromkeys(parameter for _, parameter in self.named_parameters()))

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """Saved, not trained arrays with their names."""
        return self._named(lambda m: ((name, getattr(m, name)) for name in m.buffers))

    # ---- state -----------------------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Self:
        """Use batch statistics and dropout (or, with False, running averages and none), here and inside."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """`train(False)`."""
        return self.train(False)

    def flatten(self) -> Self:
        """Move all parameters into one flat buffer (see `nn.flat`); `models.create` has done it."""
        if parameters := self.parameters():
            Flat(parameters)
        return self

    def astype(self, dtype: Any) -> Self:
        """Convert parameters and floating buffers in place; gradients are dropped."""
        for parameter in self.parameters():
            parameter.data, parameter.grad = parameter.data.astype(dtype), None
        for _, module in self.named_modules():
            for name in module.buffers:
                array = getattr(module, name)
                if array.dtype.kind == "f":
                    setattr(module, name, array.astype(dtype))
        return self.flatten()

    def to(self, device: str) -> Self:
        """Move parameters, their gradients and floating buffers to a device, in place and to the last bit.

        Buffers of integers, such as the count of `Dropout`, stay with the host, which reads them. Make the optimizer
        afterwards, or let it follow at its next step.

        Parameters
        ----------
        device : {"cpu", "cuda"}

        Raises
        ------
        DeviceError
            There is no GPU to use, or no such device.
        """
        for parameter in self.parameters():
            parameter.data, parameter.grad = moved(parameter.data, device), _moved_gradient(parameter, device)
        for _, module in self.named_modules():
            for name in module.buffers:
                array = getattr(module, name)
                if array.dtype.kind == "f":
                    setattr(module, name, moved(array, device))
        return self.flatten()

    def _state(self) -> dict[str, Array]:
        return {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by name, on the host whatever the device."""
        return {name: moved(array.copy(), "cpu") for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy values in, from either device; every name and shape must match.

        Raises
        ------
        CheckpointError
            Missing or unexpected names, or a tensor of another shape; nothing has been changed then.
        """
        own = self._state()
        missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unexpected:
            said = []
            if missing:
                said.append(f"{len(missing)} tensors are missing, the first is {missing[0]!r}")
            if unexpected:
                said.append(
                    f"{len(unexpected)} are unknown to it, the first is {unexpected[0]!r}{nearest(unexpected[0], own)}"
                )
            raise CheckpointError(f"the state does not fit this {type(self).__name__}: {'; '.join(said)}.")
        for name, array in own.items():
            if np.shape(state[name]) != array.shape:
                raise CheckpointError(
                    f"tensor {name!r} has shape {list(np.shape(state[name]))} in the state and {list(array.shape)} "
                    f"in this {type(self).__name__}; build the net with the settings that it was saved with."
                )
        for name, array in own.items():
            value = state[name]
            values = on_host(value.data if isinstance(value, Tensor) else value)
            array[...] = array_module(array).asarray(values)


def _moved_gradient(parameter: Parameter, device: str) -> Tensor | None:
    return None if parameter.grad is None else Tensor(moved(parameter.grad.data, device))


def as_input(x: Any) -> Tensor:
    """A layer's input as a Tensor."""
    return x if isinstance(x, Tensor) else Tensor(x)
