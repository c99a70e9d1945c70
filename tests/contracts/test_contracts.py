"""Our own entries keep the contracts that a user can run on theirs, and faults are seen."""

import textwrap
from pathlib import Path

import pytest
from helpers.command import Ended, run

from pipeline import contracts
from pipeline.core.criteria import CRITERIA
from pipeline.core.cuts import CUTS

OURS = [
    (contracts.contract_of(record), name)
    for contract in contracts.CONTRACTS.values()
    for name, record in contract.registry.items()
    if getattr(record, "program", False) is False
    and not (contract.registry is CRITERIA and record.cut)
    and (contract.registry.kind != "schedule" or record.changes)
]


@pytest.mark.parametrize(
    ("contract", "name"), OURS, ids=[f"{c.registry.kind}-{n}" for c, n in OURS]
)
def test_our_own_entries_keep_their_contract(
    contract: contracts.Contract, name: str
) -> None:
    broken = {one.__name__: contracts.said(one, name) for one in contract.properties}
    assert {key: text for key, text in broken.items() if text} == {}


def test_every_kind_of_entry_that_can_be_imported_has_a_contract() -> None:
    assert set(CUTS) - {"ranked"}
    kinds = {contract.registry.kind for contract in contracts.CONTRACTS.values()}
    assert kinds == {"criterion", "start", "transform", "schedule", "optimizer"}


def checked(root: Path, code: str, name: str) -> Ended:
    """What the command says of a function in a file of this code."""
    package = f"yours_{name.partition(':')[0]}"
    (root / "dvc.yaml").touch()
    (root / "pipeline").mkdir(exist_ok=True)
    (root / f"{package}.py").write_text(textwrap.dedent(code))
    return run(root, "check", f"{package}:{name.partition(':')[2]}")


CRITERION = """
    import numpy as np
    from pipeline.core.criteria import Criterion
    from pipeline.core.functions import declares

    @declares(Criterion())
    def mine(evidence, power=1):
        return {n: np.abs(evidence.trained[n]) ** power for n in evidence.mask}

    @declares(Criterion(needs_trained=False))
    def wrong(evidence):
        for n in evidence.mask:
            evidence.begun[n] *= 2
        return {n: np.abs(evidence.begun[n]) + np.random.rand() for n in evidence.mask}

    @declares(Criterion())
    def fails(evidence):
        return {n: 1 / 0 for n in evidence.mask}

    def undeclared(evidence):
        return {}
"""


def test_a_good_criterion_is_ok_in_one_line_per_property(tmp_path: Path) -> None:
    ended = checked(tmp_path, CRITERION, "good:mine(power=2)")
    assert ended.code == 0, ended
    lines = ended.output.splitlines()
    assert len(lines) == len(contracts.CONTRACTS[contracts.Criterion].properties)
    assert all(line.startswith("ok      ") for line in lines)


def test_broken_properties_are_named_and_the_command_ends_with_1(tmp_path: Path) -> None:
    ended = checked(tmp_path, CRITERION, "bad:wrong")
    assert ended.code == 1
    broken = [line for line in ended.output.splitlines() if line.startswith("broken")]
    assert any("copy what you change" in line for line in broken)
    assert any("draw from evidence.rng alone" in line for line in broken)
    assert any("pruned weights with other scores" in line for line in broken)
    ended = checked(tmp_path, CRITERION, "bad:fails")
    assert ended.code == 1
    assert "it fails: ZeroDivisionError: division by zero" in ended.output
    assert ended.output.count("it fails likewise") == len(ended.output.splitlines()) - 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none:undeclared", "yours_none:undeclared declares no record, which says what it"),
        ("none:nobody", "yours_none:nobody: yours_none has no function nobody"),
        ("none:mine(power)", "yours_none:mine(power): write options as mypkg.scores:mine"),
    ],
)
def test_what_is_no_entry_is_one_line(tmp_path: Path, name: str, said: str) -> None:
    ended = checked(tmp_path, CRITERION, name)
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors.startswith(f"lt-pipeline: {said}")
    assert len(ended.errors.splitlines()) == 1


KEEPS = """
    import numpy as np
    import torch
    from pipeline.core.criteria import Criterion
    from pipeline.core.functions import declares
    from pipeline.core.optimizers import Optimizer
    from pipeline.core.starts import Start
    from pipeline.core.transforms import Transform

    kept = {}

    def first(key, value):
        return kept.setdefault(key, value)

    @declares(Criterion())
    def criterion(evidence):
        return {n: first(n, np.abs(evidence.trained[n])) for n in evidence.mask}

    @declares(Start())
    def start(given):
        return first("weights", given.theta0)

    @declares(Transform(keeps_counts=False))
    def transform(given):
        return first("mask", given.mask)

    @declares(Optimizer())
    def optimizer(weights, settings):
        size = first("size", float(sum(w.detach().abs().sum() for w in weights)))
        return torch.optim.SGD(weights, settings.lr, weight_decay=size / 100)
"""


@pytest.mark.parametrize("kind", ["criterion", "start", "transform", "optimizer"])
def test_what_reaches_the_next_seed_is_broken(tmp_path: Path, kind: str) -> None:
    ended = checked(tmp_path, KEEPS, f"keeps_{kind}:{kind}")
    assert ended.code == 1
    (broken,) = [one for one in ended.output.splitlines() if one.startswith("broken")]
    assert broken.endswith("after other seeds; keep nothing between calls")


UNDECLARED = """
    from pipeline.core.functions import declares
    from pipeline.core.starts import Start
    from pipeline.core.transforms import Transform

    @declares(Start())
    def taken(given):
        return {n: given.taken[n] for n in given.theta0}

    @declares(Start())
    def begun(given):
        return given.begun or given.theta0

    @declares(Start(needs_taken=True))
    def declared(given):
        return given.taken

    @declares(Transform())
    def dense(given):
        return {n: kept for n, kept in given.mask.items() if given.dense[n] is not None}
"""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("taken", "declare needs_taken: it looks there, and fails: KeyError: 'conv1."),
        ("begun", "declare needs_previous_start: it looks there"),
        ("dense", "declare needs_dense: it looks there, and fails: KeyError: 'conv1."),
    ],
)
def test_what_a_run_would_not_give_is_broken(
    tmp_path: Path, function: str, said: str
) -> None:
    ended = checked(tmp_path, UNDECLARED, f"undeclared:{function}")
    assert ended.code == 1
    (broken,) = [one for one in ended.output.splitlines() if one.startswith("broken")]
    assert said in broken


def test_what_is_declared_may_be_looked_at(tmp_path: Path) -> None:
    assert checked(tmp_path, UNDECLARED, "undeclared:declared").code == 0


OPTIMIZERS = """
    import torch
    from pipeline.core.functions import declares
    from pipeline.core.optimizers import Optimizer

    @declares(Optimizer(momentum=True))
    def nesterov(weights, settings):
        return torch.optim.SGD(
            weights, settings.lr, settings.momentum, nesterov=settings.momentum > 0
        )

    class Forgetful(torch.optim.SGD):
        steps = 0

        def step(self, closure=None):
            self.steps += 1
            for group in self.param_groups:
                group["lr"] = 0.01 * self.steps
            super().step()

    @declares(Optimizer())
    def forgetful(weights, settings):
        return Forgetful(weights, settings.lr)
"""


def test_an_optimizer_keeps_its_contract_or_does_not(tmp_path: Path) -> None:
    ended = checked(tmp_path, OPTIMIZERS, "opt:nesterov")
    assert ended.code == 0, ended
    ended = checked(tmp_path, OPTIMIZERS, "opt:forgetful")
    assert ended.code == 1
    assert "keep what is remembered in the optimizer's state" in ended.output
    assert "the rate does not matter" in ended.output


SCORES = """
    from dataclasses import fields

    from pipeline.core.functions import declares
    from pipeline.core.policies import WITHOUT_CRITERION, Policy, edge_popup

    RECORD = Policy(trains_scores=True, reads=None, nested=False, needs=WITHOUT_CRITERION)

    @declares(RECORD)
    def mine(asked, tensors):
        return edge_popup.rule(asked, tensors)

    class Counting:
        def __init__(self, own):
            self.own, self.steps = own, 0
            self.number, self.pull = own.number, own.pull

        def act(self, scores, moment, out):
            self.steps += 1
            mask = self.own.act(scores, moment, out)
            for name, kept in mask.items():
                out[name][~kept] = self.steps
            return mask

    class Rule(edge_popup.EdgePopup):
        def begin(self, weights, *passes):
            return Counting(super().begin(weights, *passes))

    @declares(RECORD)
    def counting(asked, tensors):
        own = edge_popup.rule(asked, tensors)
        return Rule(**{f.name: getattr(own, f.name) for f in fields(own) if f.init})
"""


def test_a_policy_of_scores_keeps_its_contract_or_does_not(tmp_path: Path) -> None:
    ended = checked(tmp_path, SCORES, "scores:mine")
    assert ended.code == 0, ended
    assert len(ended.output.splitlines()) == len(contracts.OF_SCORES.properties)
    ended = checked(tmp_path, SCORES, "scores:counting")
    assert ended.code == 1
    assert "has pruned weights that act at step 0" in ended.output
    assert "other weights act; keep everything in the scores" in ended.output
