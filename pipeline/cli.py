"""The command ``lt-pipeline``: it parses, calls one function, prints, exits.

Every command works from any folder of a clone. Heavy imports happen inside the commands,
so that ``--help`` answers at once.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.border import notes
from pipeline.inspect.exports import DEFAULT, FORMS
from pipeline.run import executors

if TYPE_CHECKING:
    from pipeline.config.settings import Settings
    from pipeline.plan.items import Plan

app = typer.Typer(
    help="Lottery-ticket experiments: plan, run, check, compare.",
    epilog="Example: lt-pipeline use digits && lt-pipeline run && lt-pipeline plot",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print it.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed_version

        print(f"lt-pipeline {installed_version('lt-pipeline')}")
        raise typer.Exit


@app.command(epilog="Example: lt-pipeline init lottery")
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="A folder of your git repository.")
    ] = Path(),
    update: Annotated[
        bool, typer.Option("--update", help="After an upgrade: show what it changes.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --update: write what it shows.")
    ] = False,
) -> None:
    """Make an experiment in a repository of your own."""
    from pipeline.border import exits

    folder = _from_here(folder)
    with exits.one_line_errors():
        from pipeline import presets as known
        from pipeline.launch import repository

        if update:
            difference = repository.update(folder, write=yes)
            print(difference or "nothing differs from the installed version")
            if difference and not yes:
                print("nothing is written; `lt-pipeline init --update --yes` writes it")
            return
        for path in repository.make(folder, known.text_of("digits")):
            print(path)
        print("next: lt-pipeline run")


@app.command(epilog="Example: lt-pipeline presets")
def presets() -> None:
    """List the experiments that can be used as they are."""
    with _at_root():
        from pipeline import presets as known

        print(known.listed())


def _presets(incomplete: str) -> list[str]:
    """The presets that a shell may complete a name to."""
    from pipeline.presets import recipes

    return _beginning(recipes.names(), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


@app.command(epilog="Example: lt-pipeline use mnist-lenet")
def use(
    preset: Annotated[
        str,
        typer.Argument(help="A name from `lt-pipeline presets`.", autocompletion=_presets),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite edits that git does not have.")
    ] = False,
) -> None:
    """Write params.yaml and the plan of a preset."""
    with _at_root() as root:
        from pipeline import presets as known
        from pipeline.compare import prospects
        from pipeline.config import params
        from pipeline.inspect import forecast
        from pipeline.plan.current import standing

        plan = known.use(preset, root, force=force)
        print(forecast.describe(params.load(), plan, standing(plan)))
        print(prospects.describe(params.load(), params.resolved()))


@app.command(epilog="Example: lt-pipeline params tasks.main.train.lr")
def params(
    key: Annotated[
        str | None,
        typer.Argument(help="A key, or a part of the file; default: all."),
    ] = None,
) -> None:
    """Explain params.yaml: every key with its type, default and values."""
    with _at_root():
        from pipeline.config import reference

        found = reference.every() if key is None else reference.find(key)
        print(reference.terminal(found))


@app.command(epilog="Example: lt-pipeline plan && dvc repro")
def plan(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the plan is stale.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Plan even if dvc.lock has lost records, so that finished trainings "
            "are done again.",
        ),
    ] = False,
) -> None:
    """Compile params.yaml into plan.json and forecast the work."""
    with _at_root():
        from pipeline.compare import prospects
        from pipeline.config import params
        from pipeline.inspect import forecast
        from pipeline.plan import plan_file
        from pipeline.plan.current import standing

        settings = params.load()
        current = plan_file.check(settings) if check else plan_file.write(settings)
        found = standing(current)
        if not force:
            plan_file.refuse_forgotten(found, current, sought=False)
        print(forecast.describe(settings, current, found))
        print(prospects.describe(settings, params.resolved()))


@app.command(
    epilog="Example: lt-pipeline run retrain --keep-going",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def run(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STAGE]...",
            help="Stages, and any option of `dvc repro`; default: everything stale.",
        ),
    ] = None,
    on: Annotated[
        str, typer.Option(help=f"What trains: {executors.shown()}.")
    ] = executors.DEFAULT,
) -> None:
    """Plan, do the missing trainings side by side, run `dvc repro` with these options."""
    with _at_root() as root:
        from pipeline.border import account
        from pipeline.config import params
        from pipeline.inspect import forecast
        from pipeline.launch import lending, repair, repro
        from pipeline.plan import plan_file
        from pipeline.plan.current import standing
        from pipeline.run import kernels, overall, stage_server
        from pipeline.walk import driver as walking

        account.refuse_homeless()
        notes.say(lending.repair(root))
        settings = params.load()
        passed_on = [*(arguments or ()), *context.args]
        walking.refuse(on, passed_on)
        repair.refuse_second_run(root)
        current = plan_file.write(settings)
        notes.say(repair.unlock(root))
        notes.say(repair.restore_records(current, root))
        found = standing(current)
        if not {"-f", "--force"}.intersection(passed_on):
            plan_file.refuse_forgotten(found, current, sought=True)
        print(forecast.describe(settings, current, found))
        os.environ[forecast.SAID] = "1"
        if walking.fits(passed_on):
            walking.walk(settings, current, found, on)
        overall.leave(settings, current, found)
        kernels.start(settings, current, found, os.getpid())
        stage_server.start()
        repro.run(found, passed_on)


experiments = typer.Typer(
    help="Experiments of DVC with a plan of their own.",
    epilog="Example: lt-pipeline exp run --temp -S rounds=4",
    no_args_is_help=True,
)
app.add_typer(experiments, name="exp")


@experiments.command(
    "run",
    epilog="Example: lt-pipeline exp run --temp -S rounds=4 -S 'seeds=[0, 1, 2]'",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def exp_run(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTION]...", help="Those of `dvc exp run`."),
    ] = None,
) -> None:
    """Change settings, plan, and hand over to `dvc exp run`."""
    with _at_root() as root:
        from pipeline.launch import experiments as launching
        from pipeline.launch import repair

        if not repair.going_on(root):
            notes.say(repair.unlock(root))
        code = launching.run(arguments or (), root)
    raise typer.Exit(code)


@app.command(epilog="Example: lt-pipeline status")
def status() -> None:
    """Show which rounds are done, stale or missing, with their accuracy."""
    with _at_root() as root:
        from pipeline.inspect import status as states
        from pipeline.launch import repair
        from pipeline.plan.current import standing

        settings, current = _asked()
        if going := repair.going_on(root):
            print(going)
        else:
            notes.say(repair.unlock(root))
            notes.say(repair.restore_records(current, root))
        found = standing(current)
        if found.stale:
            print(found.note())
        print(states.table(states.cells(settings, current, root, found), settings))
        for line in states.analyses(current, found):
            print(line)


@app.command(epilog="Example: lt-pipeline trainings")
def trainings(
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete all of them; results stay.")
    ] = False,
) -> None:
    """List the finished trainings that are kept, and the machines that did them."""
    with _at_root():
        from pipeline.run.kept import listing

        print(listing.clear() if clear else listing.listed())


@app.command(epilog="Example: lt-pipeline check 'mypkg.scores:mine(power=2)'")
def check(
    function: Annotated[
        str, typer.Argument(help="package.module:function of yours, with options.")
    ],
) -> None:
    """Check that a function of yours keeps the contract of what it stands for."""
    with _at_root() as root:
        from pipeline import contracts

        found = contracts.check(function, root)
        for one in found:
            print(one)
    if any(one.broken for one in found):
        raise typer.Exit(1)


@app.command(epilog="Example: lt-pipeline verify")
def verify() -> None:
    """Check what each variant's recipe promises, and that no artifact is damaged."""
    with _at_root():
        from pipeline.inspect import verification
        from pipeline.plan.current import standing

        settings, current = _planned()
        notes.say(standing(current).note())
        findings = verification.verify(settings, current)
        print(verification.report(findings))
        if any(finding.broken for finding in findings):
            raise typer.Exit(1)


def _forms(incomplete: str) -> list[str]:
    """The forms that a shell may complete a name to."""
    return _beginning(FORMS, incomplete)


@app.command(
    epilog="Example: lt-pipeline export --round 8 --seed 0 --out ticket.safetensors"
)
def export(  # noqa: PLR0913 - each is an option
    round: Annotated[int, typer.Option(help="Pruning round, from 1.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    variant: Annotated[str, typer.Option(help="A variant, or task/variant.")] = "ticket",
    seed: Annotated[int, typer.Option(help="One of the seeds.")] = 0,
    format: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(FORMS)}.", autocompletion=_forms),
    ] = DEFAULT,
    trained: Annotated[
        bool, typer.Option("--trained", help="The network at the end of the round.")
    ] = False,
    hub_card: Annotated[
        bool, typer.Option("--hub-card", help="Write a model card, README.md, beside it.")
    ] = False,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Also export results of earlier settings or code."),
    ] = False,
) -> None:
    """Write a ticket to one file: its initial weights, its mask, where they come from."""
    out = _from_here(out)
    with _at_root():
        from pipeline.inspect import export as exporting
        from pipeline.plan.current import standing

        settings, current = _asked()
        facts, said = exporting.export(
            settings,
            current,
            exporting.Ticket(name=variant, round=round, seed=seed, trained=trained),
            out,
            None if stale else standing(current),
            exporting.Output(form=format, hub_card=hub_card),
        )
        print(f"{out}: density {facts['density']:.4f}, theta0 {facts['theta0'][:12]}")
        if said:
            print(said)


@app.command(epilog="Example: lt-pipeline track --uri http://127.0.0.1:5000")
def track(
    uri: Annotated[
        str | None, typer.Option(help="Tracking store; default: mlflow.db here.")
    ] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Also track results of earlier settings or code."),
    ] = False,
) -> None:
    """Write the results into MLflow again, into this or another store."""
    start = _from_here(Path())
    with _at_root() as root:
        from pipeline import tracking
        from pipeline.plan import items
        from pipeline.plan.current import standing
        from pipeline.tracking import addresses

        settings, current = _planned()
        if not stale:
            shown = [one for one in items.items_of(current) if one.kind.tracked]
            standing(current).refuse(shown, "what would be tracked")
        uri = addresses.seen_from(start, uri)
        print(tracking.write(root, uri, tracking.asked_by(settings)))
        tracking.summarize(root, uri, settings, tracking.figures_of_results(root))


@app.command(
    epilog="Example: lt-pipeline plot --variant ticket --variant reinit --format svg"
)
def plot(
    experiment: Annotated[
        str | None, typer.Option(help="MLflow experiment; default: params.yaml's.")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Only these; repeat the option.")
    ] = None,
    figure: Annotated[
        list[str] | None,
        typer.Option(help="Only these, such as cost; repeat the option."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("figures"),
    format: Annotated[str, typer.Option(help="png, svg or pdf.")] = "png",
    uri: Annotated[
        str | None, typer.Option(help="Tracking store; default: mlflow.db here.")
    ] = None,
) -> None:
    """Draw the figures from the tracked store alone, with published numbers marked."""
    out, start = _from_here(out), _from_here(Path())
    with _at_root() as root:
        from pipeline import compare as comparing
        from pipeline import plots, tracking
        from pipeline.config import params
        from pipeline.plan import plan_file
        from pipeline.plan.current import standing
        from pipeline.tracking import addresses

        plots.refuse_unknown(figure, format)
        uri = addresses.seen_from(start, uri, is_read=True)
        if not experiment:
            notes.say(standing(plan_file.asked(params.load())).note())
        name, runs = tracking.asked_for(experiment or None, root)
        store = tracking.read(uri, name, variant, runs=runs, root=root)
        notes.warn(store.warning)
        for path in plots.draw(
            store,
            out=out,
            figures=figure,
            format=format,
            published=comparing.published(store),
            untrained=comparing.untrained(store),
        ):
            print(path)


@app.command(epilog="Example: lt-pipeline compare --json > claims.json")
def compare(
    json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print tables for a README.")
    ] = False,
    all_claims: Annotated[
        bool, typer.Option("--all", help="Also list the claims that no run here can check.")
    ] = False,
    experiment: Annotated[
        str | None, typer.Option(help="Only this one; default: all in the store.")
    ] = None,
    uri: Annotated[
        str | None,
        typer.Option(
            help="Tracking store, or a folder of shared tables; default: mlflow.db here."
        ),
    ] = None,
) -> None:
    """Check published claims, and the definition of a winning ticket, on the store."""
    folder = _from_here(Path(uri)) if uri and Path(uri).is_dir() else None
    start = _from_here(Path())
    with _at_root() as root:
        from pipeline import compare as comparing
        from pipeline import tracking
        from pipeline.tracking import addresses

        if folder:
            stores = tracking.shared_tables.read(folder, experiment)
        else:
            uri = addresses.seen_from(start, uri, is_read=experiment is not None)
            stores = tracking.read_all(uri, experiment, root=root)
        for store in stores:
            notes.warn(store.warning)
        rows = comparing.compare(stores)
        layout = "json" if json else "markdown" if markdown else "table"
        shown = rows if all_claims else comparing.run_here(rows)
        print(comparing.LAYOUTS[layout](shown))
        if not json and len(shown) < len(rows):
            print("\n".join(comparing.why_left_out(rows)))


def _planned() -> "tuple[Settings, Plan]":
    """The settings of the workspace, and its plan, which fits them."""
    from pipeline.config import params
    from pipeline.plan import plan_file

    settings = params.load()
    return settings, plan_file.check(settings)


def _asked() -> "tuple[Settings, Plan]":
    """The settings of the workspace, and the plan that they ask for.

    What is there can be looked at before it is planned anew; a line says that it is not.
    """
    from pipeline.config import params
    from pipeline.plan import plan_file

    settings = params.load()
    current = plan_file.asked(settings)
    notes.say(plan_file.misfit(current))
    return settings, current


def _from_here(path: Path) -> Path:
    """A path of the command line, for a command that runs in the experiment's root."""
    from pipeline.border import exits, root

    with exits.one_line_errors():
        return path if path.is_absolute() else root.here() / path


@contextmanager
def _at_root() -> Iterator[Path]:
    """Run in the experiment's root, with errors as one line."""
    from pipeline.border import exits, root

    with exits.one_line_errors():
        found = root.find()
        os.chdir(found)
        root.make_importable(found)
        yield found


def main() -> None:
    """Entry point of the installed command."""
    from pipeline.border.exits import print_any_character
    from pipeline.border.redaction import redacting

    print_any_character()
    with redacting():  # also what typer says of a command that it does not understand
        app()


if __name__ == "__main__":
    main()
