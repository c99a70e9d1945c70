"""Every registry listed here fulfills the contract of registries."""

import subprocess
import sys
from inspect import signature

import pytest
from helpers.workspace import ROOT

from pipeline import engines
from pipeline.core import criteria, models, starts, transforms
from pipeline.core.registry import Entry, Registry, UnknownNameError, unknown

REGISTRIES = (
    criteria.CRITERIA,
    engines.ENGINES,
    models.MODELS,
    starts.STARTS,
    transforms.TRANSFORMS,
)
HEAVY = ("torch", "numba", "scipy", "sklearn", "pydantic", "pyarrow")
LETTERS = Registry(
    "letter", __name__, {"alpha": Entry(module="a"), "beta": Entry(module="b.c")}
)

every_registry = pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: r.kind)
every_entry = pytest.mark.parametrize(
    ("registry", "name"), [(found, name) for found in REGISTRIES for name in found]
)


@every_entry
def test_every_record_names_a_module_that_offers_a_function(
    registry: Registry[Entry], name: str
) -> None:
    # A criterion may have the scores of another one, upside down.
    function = registry.load(getattr(registry[name], "inverts", "") or name)
    assert signature(function).parameters
    assert function.__module__.startswith(registry.package)


@every_entry
def test_the_file_of_an_entry_is_the_one_that_its_module_is_in(
    registry: Registry[Entry], name: str
) -> None:
    folder = ROOT.joinpath(*registry.package.split("."))
    path = folder / registry.file_of(name)
    module = folder.joinpath(*registry[name].module.split("."))
    if path.is_dir():
        assert path in (module, *module.parents)
    else:
        assert path == module.with_suffix(".py")
        assert path.is_file()


def test_an_entry_that_shares_a_package_stands_in_it() -> None:
    found = [engines.ENGINES.file_of(name) for name in ("reference", "sparse-conv")]
    assert [*found, engines.ENGINES.file_of("southampton")] == [
        "reference",
        "sparse_conv",
        "dense",
    ]


@every_registry
def test_an_unknown_name_is_refused_with_the_nearest(registry: Registry[Entry]) -> None:
    name = next(iter(registry))
    wrong = f"{name}x"
    message = f"unknown {registry.kind}: {wrong}; did you mean {name}?"
    for ask in (registry.__getitem__, registry.load, registry.file_of):
        with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the text is compared
            ask(wrong)
        assert str(refusal.value).startswith(message)
        assert str(refusal.value).count("\n") == 0


def test_a_registry_is_a_mapping_in_the_order_of_its_records() -> None:
    assert list(LETTERS) == ["alpha", "beta"]
    assert len(LETTERS) == 2
    assert "alpha" in LETTERS
    assert "gamma" not in LETTERS
    assert LETTERS.get("gamma") is None
    assert LETTERS["beta"].module == "b.c"
    with pytest.raises(UnknownNameError, match=r"^unknown letter: xyz \(known: alpha, be"):
        LETTERS["xyz"]


def test_no_name_is_suggested_that_is_not_near() -> None:
    assert unknown("xyz", ["alpha"]) == "unknown: xyz (known: alpha)"


@every_registry
def test_reading_records_imports_nothing_heavy_and_no_entry(
    registry: Registry[Entry],
) -> None:
    modules = sorted({f"{registry.package}.{one.module}" for one in registry.values()})
    code = (
        f"import sys, {registry.package}\n"
        f"print([name for name in {[*HEAVY, *modules]} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
