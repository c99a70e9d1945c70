"""Functions of the user's in place of entries, through plan, stages, records and verify."""

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import experiment

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.border.errors import UserError
from pipeline.border.user_code import CodeError
from pipeline.config import params
from pipeline.inspect import verification
from pipeline.plan import compiler, fingerprints, plan_file
from pipeline.plan.items import items_of
from pipeline.run import cuts

CODE = """
    import numpy as np
    import torch
    from pipeline.core.criteria import Criterion
    from pipeline.core.functions import declares
    from pipeline.core.optimizers import Optimizer
    from pipeline.core.policies import Policy
    from pipeline.core.policies import gradual
    from pipeline.core.starts import Start
    from pipeline.core.transforms import Transform
    from {package}.shared import power_of

    @declares(Criterion())
    def score(evidence, power):
        size = {{n: np.abs(evidence.trained[n]) for n in evidence.mask}}
        return {{n: power_of(values, power) for n, values in size.items()}}

    @declares(Start(draws=True))
    def noisy(given, scale=0.01):
        noise = {{
            n: scale * given.rng.standard_normal(w.shape).astype(np.float32)
            for n, w in given.theta0.items()
        }}
        return {{n: w + noise[n].astype(np.float32) for n, w in given.theta0.items()}}

    @declares(Transform())
    def turned(given):
        return {{n: kept[::-1].copy() for n, kept in given.mask.items()}}

    @declares(Policy(reads=None, nested=False))
    def late(asked, sizes):
        return gradual.rule(asked, sizes)

    class Failing:
        counted = ("fc1.weight", "fc2.weight")
        looks_at_gradients = False

        def steps(self, first, end):
            return (1 // (end - 2),)

    @declares(Policy(reads=None, nested=False))
    def failing(asked, sizes):
        return Failing()

    def of_two(data):
        '''A module of torch's layers alone, for batches of two.'''
        two = torch.nn.Unflatten(0, (2, 1))
        linear = torch.nn.Linear(64, data.num_classes)
        return torch.nn.Sequential(torch.nn.Flatten(), two, torch.nn.Flatten(), linear)

    @declares(Optimizer())
    def plain(weights, settings):
        return torch.optim.SGD(weights, settings.lr)

    @declares(Optimizer())
    def not_a_criterion(weights, settings):
        return None
"""
PACKAGE = "yourscores"
SCORED = {
    "mask": "own",
    "schedule": "edge-popup",
    "scope": "layerwise",
    "fraction": {"fc": 0.3, "output": 0.15},
}
WITHOUT_POWER = f"{PACKAGE}.code:score"


def own(function: str, **options: object) -> dict[str, Any]:
    found: dict[str, Any] = {"import": f"{PACKAGE}.code:{function}"}
    return found | ({"options": options} if options else {})


def changes() -> dict[str, Any]:
    ticket = experiment.raw()["variants"]["ticket"]
    recipe = ticket["prune"] | {"criterion": own("score", power=2)}
    scores = {"optimizer": own("plain"), "lr": 0.1}
    return {
        "rounds": 1,
        "seeds": [0],
        "workers": 1,
        "tasks__main__train__optimizer": own("plain"),
        "tasks__main__train__momentum": 0.0,
        "variants": {
            "ticket": ticket,
            "mine": ticket | {"prune": recipe},
            "noisy": ticket | {"prune": {"mask": "mine"}, "rewind": {"to": own("noisy")}},
            "turned": ticket | {"prune": {"mask": "mine", "transform": own("turned")}},
            "late": ticket | {"prune": ticket["prune"] | {"schedule": own("late")}},
            "scored": ticket | {"prune": SCORED | {"scores": scores}},
        },
    }


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").touch()
    code = textwrap.dedent(CODE).format(package=PACKAGE)
    (tmp_path / PACKAGE / "code.py").write_text(code)
    shared = "def power_of(values, power):\n    return values**power\n"
    (tmp_path / PACKAGE / "shared.py").write_text(shared)
    (tmp_path / PACKAGE / "beside.py").write_text("UNUSED = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def texts(root: Path) -> dict[str, str]:
    """What stands in the inputs file of each stage of the plan."""
    plan = plan_file.asked(params.load(root), root)
    decided = compiler.inputs_of(plan)
    resolved = params.resolved(root)
    made = {
        str(path): fingerprints.text(path, one, resolved, root)
        for path, one in decided.items()
    }
    return {item.stage: made[item["inputs"]] for item in items_of(plan)}


def test_functions_of_the_users_go_through_everything(root: Path) -> None:
    experiment.finish(root, **changes())
    settings = params.load()
    looks = verification.contents(settings, plan_file.check(settings))
    assert [problem for _, look in looks if (problem := look())] == []
    found = verification.promises.findings(settings, [(0,)])
    assert {f.broken for f in found} == {""}

    def result(variant: str) -> dict[str, Any]:
        at = Instance(task="main", variant=variant, round=1, seeds=(0,))
        value: dict[str, Any] = files.load_json(paths.results_folder(at) / "result.json")
        return value

    mine = result("mine")
    assert mine["settings"]["prune"]["criterion"] == f"{PACKAGE}.code:score(power=2)"
    assert mine["settings"]["train"]["optimizer"] == f"{PACKAGE}.code:plain"
    assert mine["engine"] == "reference"
    # the square of the magnitude ranks as the magnitude does
    assert mine["seeds"]["0"]["mask"] == result("ticket")["seeds"]["0"]["mask"]
    assert result("noisy")["seeds"]["0"]["mask"] == mine["seeds"]["0"]["mask"]
    assert result("turned")["seeds"]["0"]["kept"] == mine["seeds"]["0"]["kept"]
    assert result("late")["seeds"]["0"]["kept"] == mine["seeds"]["0"]["kept"]

    scored = result("scored")["settings"]["prune"]["scores"]
    assert scored["optimizer"] == f"{PACKAGE}.code:plain"

    # Code that fails is one line.
    source = cuts.Source(
        task=settings.tasks["main"],
        prune=replace(settings.variants["mine"].prune, criterion=WITHOUT_POWER),
        variant="mine",
        round=1,
        data=paths.data_file("digits"),
        initial=paths.theta0_folder("main", (0,)),
        networks=paths.trained_folder(
            Instance(task="main", variant="dense", round=0, seeds=(0,))
        ),
    )
    with pytest.raises(
        CodeError, match=f"^{WITHOUT_POWER} fails: TypeError: .*'power'; see its"
    ):
        cuts.mask(source, 0)

    # An edit makes stale exactly what uses it, through what the module imports.
    before = texts(root)
    shared = root / PACKAGE / "shared.py"
    shared.write_text(shared.read_text() + "\nEDITED = True\n")
    after = texts(root)
    changed = {stage for stage in before if before[stage] != after[stage]}
    uses = {
        "prune@main-mine-r01-s0",
        "prune@main-turned-r01-s0",
        "rewind@main-noisy-r01-s0",
    }
    trains = {stage for stage in before if stage.startswith(("train@", "retrain@"))}
    assert changed == uses | trains  # the optimizer lies in the same module
    (root / PACKAGE / "beside.py").write_text("UNUSED = 2\n")
    assert texts(root) == after


def test_an_optimizer_of_scores_stands_behind_what_trains_scores_alone(root: Path) -> None:
    asked = changes() | {"tasks__main__train__optimizer": "sgd"}
    asked["variants"] = {name: asked["variants"][name] for name in ("ticket", "scored")}
    experiment.write(root, **asked)
    found = {stage for stage, text in texts(root).items() if f"{PACKAGE}/code.py" in text}
    assert found == {"retrain@main-scored-r01-s0"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"variants": {"late": {"schedule": own("failing")}}},
            f"{PACKAGE}.code:Failing.steps fails: ZeroDivisionError: integer division or "
            f"modulo by zero; see {PACKAGE}/code.py:39 in steps, and its traceback in .lt/",
        ),
        (
            {"tasks__main__model": own("of_two"), "variants": {}},
            f"{PACKAGE}.code:of_two fails: RuntimeError: unflatten: ",
        ),
    ],
)
def test_what_fails_while_it_trains_is_one_line(
    root: Path, change: dict[str, Any], said: str
) -> None:
    ticket = experiment.raw()["variants"]["ticket"]
    for name, recipe in change["variants"].items():
        change["variants"][name] = ticket | {"prune": ticket["prune"] | recipe}
    experiment.write(root, **{"rounds": 1, "seeds": [0], "workers": 1} | change)
    with pytest.raises(UserError) as caught:
        experiment.run()
    assert str(caught.value).startswith(said)
    assert "Traceback" in Path(".lt/traceback.txt").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"criterion": {"import": f"{PACKAGE}.code:nobody"}},
            f"variants.mine.prune.criterion: {PACKAGE}.code:nobody: {PACKAGE}.code",
        ),
        (
            {"criterion": {"import": "score"}},
            "variants.mine.prune.criterion.import: 'score' is no function; write package.m",
        ),
        (
            {"criterion": {"import": f"{PACKAGE}.code:not_a_criterion"}},
            f"variants.mine.prune.criterion: {PACKAGE}.code:not_a_criterion",
        ),
        (
            {"criterion": {"options": {"power": 2}}},
            "variants.mine.prune.criterion.import is missing; ",
        ),
        (
            {"criterion": {"import": f"{PACKAGE}.code:score", "option": {}}},
            "unknown key variants.mine.prune.criterion.option; did you mean options?",
        ),
        (
            {"criterion": {"import": "not_there:score"}},
            "variants.mine.prune.criterion: not_there:score: importing",
        ),
    ],
)
def test_what_cannot_stand_there_is_one_line(
    root: Path, change: dict[str, Any], said: str
) -> None:
    asked = changes()
    asked["variants"] = {"mine": asked["variants"]["mine"]}
    asked["variants"]["mine"]["prune"] |= change
    with pytest.raises((params.ParamsError, CodeError)) as caught:
        params.parse(experiment.edited(**asked), root)
    assert str(caught.value).startswith(f"params.yaml: {said}")
    assert "\n" not in str(caught.value)
