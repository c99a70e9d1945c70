"""Networks that a torch module computes, seen as named tensors like all others.

The module itself holds no state: it is called with the tensors of a training in place of
its parameters and buffers. Parameters that ask for no gradient stay as the module draws
them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from pipeline.core.arrays import Weights
from pipeline.core.description import Description
from pipeline.core.models.layers import Kind, Module
from pipeline.core.models.module_calls import called, places_of, values_of
from pipeline.core.models.module_tensors import kinds_of, tensors_of
from pipeline.core.models.module_trials import trial_batch, tried

Made = nn.Module | tuple[nn.Module, Mapping[str, Kind]]


def described(make: Callable[[], Made], origin: str, data: Description) -> Module:
    """Describe a module as a network, after trying it with a batch of random examples.

    Args:
        make: builds the module afresh, or the module and the kinds of its prunable
            tensors by name; without these, weights of Linear, convolutions, Embedding,
            attention and recurrent cells are prunable.
        origin: names the function, its options and its code; equal origins are the same
            network.
        data: what the examples are.

    Raises:
        ValueError: with one line, if the module does not take such examples, gives another
            shape, has nothing to prune, or has parameters that are not float32.
    """
    with seeded(0):
        made = make()
        module, declared = (
            made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        )
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"it returns {type(made).__name__}; return a torch.nn.Module, a pair of "
                "it and the kinds of its prunable tensors, or a tuple of layer records"
            )
        batch = trial_batch(data)
        trial = tried(module, batch, data)
    tensors = tensors_of(module, kinds_of(module, trial.output_weight, declared))
    if not any(tensor.kind for tensor in tensors.values()):
        raise ValueError(
            "it has no prunable tensor: no weight of a Linear, convolution, Embedding, "
            "attention or recurrent cell; return (module, {name: kind}) to name some"
        )
    found = Module(
        origin=origin,
        tensors=tensors,
        buffers={name: buffer.dtype for name, buffer in module.named_buffers()},
        places=places_of(module),
        applied={n: trial.applied.get(n, 1) for n, t in tensors.items() if t.kind},
        module=module,
        make=make,
        draws=trial.draws,
        stacks=cache(lambda: not trial.draws and _stacks(found, batch)),
    )
    return found


def initial(network: Module, rng: np.random.Generator) -> Weights:
    """The values that the module's own initialization draws from a seeded generator.

    Torch draws them, so other processors may give other bits.
    """
    with seeded(int(rng.integers(2**63))):
        made = network.make()
    module = made[0] if isinstance(made, tuple) else made
    values = values_of(module)
    return {
        name: values[name].detach().cpu().numpy().astype(np.float32)
        for name in network.tensors
    }


def compute(
    network: Module, weights: Mapping[str, Tensor], inputs: Tensor, *, training: bool
) -> Tensor:
    """Call the module with these tensors; in training, its statistics change in place.

    The module gets copies of its buffers, in their own dtypes: it may write into them or
    replace them. Changes of buffers are kept in training only.
    """
    if network.module.training != training:
        network.module.train(training)
    held = {name: weights[name] for name in network.tensors}
    for name, dtype in network.buffers.items():
        held[name] = weights[name].to(dtype, copy=True)
    output = called(network.module, network.places, held, inputs)
    if training:
        for name in network.buffers:
            if held[name].shape == weights[name].shape:  # else it is a cache, made anew
                weights[name].copy_(held[name].detach())
    return output


def state_names(network: Module) -> dict[str, str]:
    """State-dict name -> name of the tensor in the network.

    A tied tensor has several state-dict names; a buffer that is not persistent has none.
    """
    names = {id(value): name for name, value in values_of(network.module).items()}
    state = network.module.state_dict(keep_vars=True)
    return {entry: names[id(value)] for entry, value in state.items() if id(value) in names}


def filled(network: Module, weights: Weights) -> nn.Module:
    """The module itself, with these values, in eval mode."""
    module: nn.Module = network.module
    with torch.no_grad():
        for name, value in values_of(module).items():
            value.copy_(torch.tensor(weights[name]))
    return module.eval()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator inside; afterwards it goes on as before."""
    with torch.random.fork_rng():
        # A module draws its own weights, and torch gives it no other generator.
        torch.manual_seed(seed)  # noqa: TID251
        yield


def _stacks(network: Module, batch: Tensor) -> bool:
    """Whether torch can compute several such networks at once, gradients included."""
    values = values_of(network.module)
    stacked = {
        name: torch.stack([values[name].detach().float()] * 2) for name in network.tensors
    }
    trained = [n for n, t in network.tensors.items() if t.trainable]
    for name in trained:
        stacked[name].requires_grad_()

    def one(weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return compute(network, weights, inputs, training=True)

    try:
        output = vmap(one)(stacked, torch.stack([batch, batch]))
        torch.autograd.grad(output.sum(), [stacked[n] for n in trained], allow_unused=True)
    except Exception:
        return False
    return True
