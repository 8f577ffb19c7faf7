"""Stochastic gradient descent with momentum and weight decay.

    g' = g + weight_decay*w      v' = momentum*v + g'      w' = w - lr*v'        (dampening 0)
    Nesterov:                                              w' = w - lr*(g' + momentum*v')

The rate multiplies the velocity when it is used, not the gradient when it is stored: after a change of rate this is
PyTorch's form, not Caffe's. The decay falls on all parameters that are given, biases and batch norm included, as in the
paper's recipe; give the optimizer fewer parameters for anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tinyres.errors import CheckpointError, ConfigError, DeviceError, ShapeError
from tinyres.kernels.launch import Array, array_module, device_of, launch, moved
from tinyres.nn.flat import Flat, Parameter, runs


class SGD:
    """Update parameters, which lie in one flat buffer, by their gradients.

    Parameters
    ----------
    parameters : iterable of Parameter
        Those that have no flat buffer yet get one.
    lr : float
        Learning rate; `optimizer.lr` may be set at any time.
    rate : array of one value, or None
        Attribute: where the update reads its rate instead, in the memory of a GPU. A captured step wants it so.
    momentum, weight_decay : float
    nesterov : bool

    Raises
    ------
    ConfigError
        No parameters, or a negative setting.
    DeviceError
        Parameters of two devices.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        nesterov: bool = False,
    ) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ConfigError("SGD was given no parameters; pass model.parameters().")
        for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ConfigError(f"SGD: {name} is {value}; 0 or more is wanted.")
        self.lr, self.momentum, self.weight_decay, self.nesterov = lr, momentum, weight_decay, nesterov
        self.rate: Array | None = None
        first = self.parameters[0]
        self.velocity: Array = array_module(first.data).zeros(sum(p.size for p in self.parameters), first.dtype)
        self._gather()

    def step(self) -> None:
        """Update every parameter that has a gradient; one kernel call where that is all of them.

        Raises
        ------
        ShapeError, DeviceError
            A gradient that was set by hand, of another shape or device; parameters of two devices.
        """
        self._gather()
        settings = {"momentum": self.momentum, "weight_decay": self.weight_decay, "nesterov": self.nesterov}
        for group, start in self._with_gradients():
            for flat, part in runs(group):
                w, g = flat.data[part], flat.grad[part]
                v = self.velocity[start : start + len(w)]
                launch("sgd", w, v, g, lr=self.lr if self.rate is None else self.rate, out=(w, v), **settings)
                start += len(w)

    def _gather(self) -> None:
        """Give parameters that lie in no flat buffer, or no longer, one of their own; follow them to their device."""
        if len(devices := {p.device for p in self.parameters}) > 1:
            raise DeviceError(f"SGD: parameters are on {' and '.join(sorted(devices))}; move their nets to one device.")
        if (device := self.parameters[0].device) != device_of(self.velocity):
            self.velocity, self.rate = moved(self.velocity, device), None
        if loose := [p for p in self.parameters if not p.is_flat()]:
            Flat(loose)

    def _with_gradients(self) -> list[tuple[list[Parameter], int]]:
        """Neighbouring parameters that have a gradient, each group with its place in the velocity."""
        groups: list[tuple[list[Parameter], int]] = []
        place, joined = 0, False
        for parameter in self.parameters:
            if parameter.grad is not None:
                if parameter.slot is not None and parameter.grad.data is not parameter.slot:  # set by hand
                    if parameter.grad.shape != parameter.shape:
                        raise ShapeError(
                            f"SGD: a gradient has shape {list(parameter.grad.shape)} and its parameter "
                            f"{list(parameter.shape)}; they must be the same."
                        )
                    if parameter.grad.device != parameter.device:
                        raise DeviceError(
                            f"SGD: a gradient is on {parameter.grad.device} and its parameter on {parameter.device}; "
                            "move one of them, nothing is copied silently."
                        )
                    parameter.slot[...] = parameter.grad.data
                if not joined:
                    groups.append(([], place))
                groups[-1][0].append(parameter)
            joined = parameter.grad is not None
            place += parameter.size
        return groups

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Array]:
        """A copy of the velocity on the host, in the order of the parameters."""
        return {"velocity": moved(self.velocity.copy(), "cpu")}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue with a saved velocity.

        Raises
        ------
        CheckpointError
            It belongs to another number of parameters.
        """
        velocity = state["velocity"]
        if velocity.shape != self.velocity.shape:
            raise CheckpointError(
                f"the saved velocity has {velocity.size} values and these parameters {self.velocity.size}; "
                "build the net with the settings that it was saved with."
            )
        self.velocity[...] = array_module(self.velocity).asarray(moved(velocity, "cpu"))
