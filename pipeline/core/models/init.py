"""Initial weights. Numpy draws them, because torch's draws differ between CPUs."""

from collections.abc import Callable
from math import sqrt

import numpy as np

from pipeline.core.arrays import Floats, Weights
from pipeline.core.models.layers import Module, Network, Parameter, parameters

TRUNCATION = 2.0
"""draws stay within so many standard deviations of the normal before truncation"""
TRUNCATED_STD = 0.87962566103423978
"""standard deviation of a standard normal after this truncation"""


def glorot_normal(parameter: Parameter, rng: np.random.Generator) -> Floats:
    """Normal truncated at 2σ, with variance 2 / (fan_in + fan_out) after truncation.

    Source: Glorot & Bengio 2010; truncated and corrected as by Keras and by the code of
    Frankle & Carbin 2019. Values beyond 2σ are drawn again, not clamped.
    """
    std = sqrt(2 / (parameter.fan_in + parameter.fan_out)) / TRUNCATED_STD
    drawn = rng.standard_normal(parameter.shape).ravel()
    beyond = np.flatnonzero(np.abs(drawn) > TRUNCATION)
    while len(beyond):
        drawn[beyond] = rng.standard_normal(len(beyond))
        beyond = beyond[np.abs(drawn[beyond]) > TRUNCATION]
    return (std * drawn).astype(np.float32).reshape(parameter.shape)


def kaiming_normal(parameter: Parameter, rng: np.random.Generator) -> Floats:
    """Normal with variance 2 / fan_in, not truncated.

    Source: He et al. 2015 (arXiv:1502.01852), for ReLU; as torch's
    ``kaiming_normal_(nonlinearity="relu")``.
    """
    std = sqrt(2 / parameter.fan_in)
    return (std * rng.standard_normal(parameter.shape)).astype(np.float32)


def xavier_normal(parameter: Parameter, rng: np.random.Generator) -> Floats:
    """Normal with variance 2 / (fan_in + fan_out), not truncated.

    Source: Glorot & Bengio 2010; as torch's ``xavier_normal_``.
    """
    std = sqrt(2 / (parameter.fan_in + parameter.fan_out))
    return (std * rng.standard_normal(parameter.shape)).astype(np.float32)


def standard_normal(parameter: Parameter, rng: np.random.Generator) -> Floats:
    """Normal with variance 1."""
    return rng.standard_normal(parameter.shape).astype(np.float32)


INITS: dict[str, Callable[[Parameter, np.random.Generator], Floats]] = {
    "glorot-normal": glorot_normal,
    "kaiming-normal": kaiming_normal,
    "southampton": xavier_normal,
}
"""The initializations by name; each function draws a kernel."""
BIASES: dict[str, Callable[[Parameter, np.random.Generator], Floats]] = {
    "southampton": standard_normal,
}
"""The initializations that draw biases, too, with the function that does; for all others
biases are 0. The Southampton script draws them (core/programs/southampton.py)."""

MODULE = "module"
"""the initialization that a torch module has itself"""
CHOICES = (*INITS, MODULE)
"""the values that ``model.init`` may have"""
OWN_ROLES = ("other", "statistic", "count")
"""roles of tensors that only a module itself can initialize"""


def initial_weights(network: Network, init: str, rng: np.random.Generator) -> Weights:
    """Draw every tensor of a network, in layer order.

    Args:
        network: its kernels are drawn, and its biases where the init is one of BIASES.
            Other biases, norm shifts and running means are 0; norm scales and running
            variances are 1. Of a module, other parameters and buffers are as it draws
            them itself.
        init: one of CHOICES.
        rng: stream ``init`` for θ₀, ``reinit`` for a fresh draw.

    Raises:
        ValueError: if there is no such initialization.
    """
    if init not in CHOICES:
        raise ValueError(f"unknown init {init!r}; the inits are {sorted(CHOICES)}")
    if init == MODULE:
        if not isinstance(network, Module):
            raise ValueError(f"init {MODULE} is for torch modules; take {sorted(INITS)}")
        return _own(network, rng)
    draw = {"kernel": INITS[init], "bias": BIASES.get(init, _fixed)}
    tensors = parameters(network)
    drawn = {
        name: draw.get(parameter.role, _fixed)(parameter, rng)
        for name, parameter in tensors.items()
        if parameter.role not in OWN_ROLES
    }
    if isinstance(network, Module) and len(drawn) < len(tensors):
        # Last, so that a module begins as the same network of layer records.
        drawn |= {n: w for n, w in _own(network, rng).items() if n not in drawn}
    return {name: drawn[name] for name in tensors}


def _own(network: Module, rng: np.random.Generator) -> Weights:
    """The tensors as a module draws them itself."""
    from pipeline.core.models.modules import initial  # torch, which others do without

    return initial(network, rng)


def _fixed(parameter: Parameter, _: np.random.Generator) -> Floats:
    value = 1 if parameter.role in ("scale", "variance") else 0
    return np.full(parameter.shape, value, dtype=np.float32)
