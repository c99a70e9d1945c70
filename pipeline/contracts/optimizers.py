"""The contract of optimizers, tried in the reference engine."""

from collections.abc import Callable

from pipeline.contracts import generated, memory
from pipeline.core import masks, rewinding
from pipeline.core.arrays import Weights
from pipeline.core.optimizers import OPTIMIZERS
from pipeline.core.training.engine import Engine, Job
from pipeline.core.training.settings import TrainSettings
from pipeline.engines import make_engine

STEPS = 6


def trains(name: str) -> str:
    """Its steps change the weights that are kept."""
    begun, ended = _job(name).start, _trained(name)
    still = [
        n for n in begun if begun[n].tobytes() == ended[n].tobytes() and ".weight" in n
    ]
    return f"{still[0]} is as before" if still else ""


def keeps_pruned_at_zero(name: str) -> str:
    """Pruned weights are 0 after every step."""
    engine = _engine(name)
    for step in range(STEPS):
        engine.advance(1)
        revived = masks.revived(engine.weights()[0], generated.mask())
        if revived:
            return f"{revived[0]} has a pruned weight that is not 0 after step {step + 1}"
    return ""


def repeats(name: str) -> str:
    """The same training gives the same weights."""
    same = generated.content(_trained(name)) == generated.content(_trained(name))
    return "" if same else "they differ; draw nothing, or from a generator that you seed"


def keeps_nothing(name: str) -> str:
    """Earlier trainings change no weights."""
    return memory.kept(name, lambda seed: generated.content(_trained(name, seed=seed)))


def goes_on_from_its_state(name: str) -> str:
    """From a saved state it goes on bit for bit."""
    first, second = _engine(name), _engine(name)
    first.advance(STEPS // 2)
    second.restore(first.state(), STEPS // 2)
    second.advance(STEPS - STEPS // 2)
    same = generated.content(second.weights()[0]) == generated.content(_trained(name))
    return "" if same else "they differ; keep what is remembered in the optimizer's state"


def takes_the_rate(name: str) -> str:
    """A step is shorter at a smaller learning rate, which the group's ``lr`` gives."""
    far, near = (_distance(name, lr) for lr in (1e-1, 1e-4))
    return "" if near < far else "the rate does not matter; read group['lr'] in step()"


def _job(name: str, lr: float = 0.05, seed: int = 0) -> Job:
    settings = TrainSettings(
        steps=STEPS,
        batch_size=8,
        optimizer=name,
        lr=lr,
        momentum=0.9 if OPTIMIZERS[name].momentum else 0.0,
        evaluate_every=STEPS,
    )
    return Job(
        network=generated.NETWORK,
        start=rewinding.start(generated.theta0(seed), generated.mask()),
        mask=generated.mask(),
        data=generated.dataset(),
        settings=settings,
        seed=seed,
        round=1,
    )


def _engine(name: str) -> Engine:
    return make_engine("reference", [_job(name)])


def _trained(name: str, lr: float = 0.05, seed: int = 0) -> Weights:
    engine = make_engine("reference", [_job(name, lr, seed)])
    engine.advance(STEPS)
    return engine.weights()[0]


def _distance(name: str, lr: float) -> float:
    begun, ended = _job(name).start, _trained(name, lr)
    kernels = generated.mask()
    return float(sum(abs(ended[n] - begun[n]).sum() for n in kernels))


PROPERTIES: tuple[Callable[[str], str], ...] = (
    trains,
    keeps_pruned_at_zero,
    repeats,
    keeps_nothing,
    goes_on_from_its_state,
    takes_the_rate,
)
