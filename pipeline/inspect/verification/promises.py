"""Check the promises of each variant's recipe on the masks and weights of its chains.

Everything is computed again from weights and masks; result files are never trusted.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.config.mask_from import MaskFrom
from pipeline.config.settings import Settings, build_network, total_steps
from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.counts import in_pools
from pipeline.core.criteria import CRITERIA, cut_of
from pipeline.core.cuts import CUTS
from pipeline.core.digests import digest
from pipeline.core.functions import is_function
from pipeline.core.models.layers import parameters
from pipeline.core.round_starts import source_weights, start_weights
from pipeline.core.starts import STARTS
from pipeline.core.training.score_rules import act, held_names, moment
from pipeline.core.transforms import TRANSFORMS, Transform
from pipeline.data import mask_files
from pipeline.inspect.verification.looking import DAMAGE, ROUNDS, Finding, text_of
from pipeline.plan import expected
from pipeline.plan.chains import ChainGroup, chain_groups
from pipeline.run import cuts, rules, transformed
from pipeline.run.round_starts import Behind, read

ANOTHER_MASK = "the trained network carries another mask"
CUT_AGAIN = "masks as cut again"

Check = Callable[[Settings, ChainGroup, int, int], str]
"""Settings, group, round, seed -> what is broken; empty = the promise holds"""


def findings(settings: Settings, groups: list[tuple[int, ...]]) -> Iterator[Finding]:
    """Check every chain of the plan."""
    for group in chain_groups(settings, groups):
        for seed in sorted(set(group.seeds) & set(settings.seeds)):
            yield from _chain(settings, group, seed)


def _chain(settings: Settings, group: ChainGroup, seed: int) -> Iterator[Finding]:
    rounds = range(1, settings.rounds + 1)
    promises = _about_counts(settings, group)
    if group.variant.rewind.freezes:
        promises["pruned weights exactly as frozen"] = _pruned_are_frozen
        promises["start = source, pruned frozen"] = _starts_are_rewound
    else:
        promises["pruned weights exactly zero"] = _pruned_are_zero
        promises["start = source ⊙ mask"] = _starts_are_rewound
    if group.variant.prune.policy.trains_scores:
        promises["scores make the network, no weight trained"] = _scores_make_it
    promises["one θ₀ by hash"] = _one_theta0
    if group.variant.prune.transform is not None:
        promises |= _about_transform(TRANSFORMS[group.variant.prune.transform])
    elif group.variant.prune.pool is None and group.owner.prune.policy.nested:
        promises["masks nested"] = _masks_are_nested
    for promise, check in promises.items():
        broken = [
            f"round {round}: {problem}"
            for round in rounds
            if (problem := _said(check, settings, group, round, seed))
        ]
        yield Finding(
            subject=f"{group.task}/{group.name} seed {seed}",
            promise=promise,
            num_checked=len(rounds),
            unit=ROUNDS,
            broken=broken[0] if broken else "",
        )


def _said(
    check: Check, settings: Settings, group: ChainGroup, round: int, seed: int
) -> str:
    """The findings of a check; files that it cannot work with are damaged."""
    try:
        return check(settings, group, round, seed)
    except DAMAGE as error:
        return text_of(error)


def _about_counts(settings: Settings, group: ChainGroup) -> dict[str, Check]:
    """The check of the number of weights kept: exact counts, or the same cut repeated.

    A variant that takes masks of a cut whose counts are not exact shows nothing of its own.
    """
    policy, criterion = group.owner.prune.policy, group.owner.prune.criterion
    transform, pool = group.variant.prune.transform, group.variant.prune.pool
    if pool is not None and pool.of_dense:
        return {}
    if transform is not None and not TRANSFORMS[transform].keeps_counts:
        return {}
    if policy.reads == "file":
        return {} if transform else {"masks as in their file": _masks_are_the_files}
    if not policy.asks_for_counts or not policy.exact:
        return {}
    program = settings.tasks[group.owner_task].program.cut
    cutting = criterion if policy.cuts else None
    cut = CUTS[cut_of(cutting, program) if cutting else program]
    promises: dict[str, Check] = {cut.promise: _counts_are_exact} if cut.exact else {}
    repeated = cutting is not None and (not cut.exact or _is_repeated(cutting))
    if repeated and group.variant.prune.own:
        promises[CUT_AGAIN if cut.exact else cut.promise] = _masks_are_cut_again
    return promises


def _is_repeated(criterion: str) -> bool:
    """Whether a criterion is computed again where counts are known without it.

    One of weights alone takes no longer than reading them, and gives the same bits on every
    machine. Passes through a network take longer and sum in another order elsewhere; a
    function of the user's may.
    """
    known = CRITERIA[criterion]
    return not (known.needs_batches or known.passes > 1 or is_function(criterion))


def _about_transform(record: Transform) -> dict[str, Check]:
    """The checks of a mask that was made from another one."""
    again: dict[str, Check] = {"masks as transformed again": _masks_are_transformed_again}
    if record.keeps_counts:
        return again | {"counts per layer as in its source": _layers_are_as_in_the_source}
    return again


def _mask(group: ChainGroup, round: int, seed: int) -> Mask:
    return files.load_mask(group.mask_at(round), seed)


def _counts_are_exact(settings: Settings, group: ChainGroup, round: int, seed: int) -> str:
    kept = masks.kept(_mask(group, round, seed))
    wanted = expected.kept(settings.tasks[group.task], group.owner.prune, round)
    found = in_pools(kept, wanted)
    for pool, count in wanted.items():
        if found[pool] != count:
            return f"{pool} keeps {found[pool]}, {count} expected"
    return ""


def _masks_are_cut_again(
    settings: Settings, group: ChainGroup, round: int, seed: int
) -> str:
    """Repeat the cut on the same weights; chance comes from the same stream."""
    source = cuts.Source(
        task=settings.tasks[group.task],
        prune=group.variant.prune,
        variant=group.name,
        round=round,
        data=paths.data_file(settings.tasks[group.task].data),
        initial=group.initial_at(round),
        networks=group.mask_source_at(round),
    )
    found = files.load_mask(group.mask_before(round), seed)
    if digest(cuts.mask(source, seed)) == digest(found):
        return ""
    return "the mask is not the one that the same cut gives again"


def _masks_are_the_files(
    settings: Settings, group: ChainGroup, round: int, seed: int
) -> str:
    source = group.owner.prune.mask
    assert isinstance(source, MaskFrom), "its masks come from a file"
    network = build_network(settings.tasks[group.task])
    wanted = mask_files.read(source.file_at(round), network, Path())
    if digest(wanted) == digest(_mask(group, round, seed)):
        return ""
    return f"the mask is not the one in {source.file_at(round)}"


def _masks_are_transformed_again(
    settings: Settings, group: ChainGroup, round: int, seed: int
) -> str:
    source = transformed.Source(
        task=settings.tasks[group.task],
        mask_task=settings.tasks[group.owner_task],
        prune=group.variant.prune,
        variant=group.name,
        round=round,
        masks=group.mask_source_at(round),
        dense=_dense_networks(settings, group),
    )
    if digest(transformed.mask(source, seed)) == digest(_mask(group, round, seed)):
        return ""
    return f"the mask is not the one that {source.prune.transform} gives again"


def _dense_networks(settings: Settings, group: ChainGroup) -> transformed.Dense | None:
    """The networks that a transform looks at; None where it looks at none."""
    if not TRANSFORMS[str(group.variant.prune.transform)].needs_dense:
        return None
    data = paths.data_file(settings.tasks[group.task].data)
    return transformed.Dense(data=data, network=group.dense, source=group.dense_source)


def _layers_are_as_in_the_source(
    _: Settings, group: ChainGroup, round: int, seed: int
) -> str:
    found = masks.kept(_mask(group, round, seed))
    source = masks.kept(files.load_mask(group.mask_source_at(round), seed))
    for name, count in source.items():
        if found.get(name) != count:
            return f"{name} keeps {found.get(name)}, its source {count}"
    return ""


def _masks_are_nested(_: Settings, group: ChainGroup, round: int, seed: int) -> str:
    """Check that a round keeps only what the round before it kept.

    This holds for iterative masks, for one-shot masks (all are cut from one ranking), and
    for variants that take such masks. It does not hold for masks that are shuffled anew
    each round, or found while a round trains.
    """
    if round == 1:
        return ""
    new, old = _mask(group, round, seed), _mask(group, round - 1, seed)
    return "" if masks.is_nested(new, old) else "a pruned weight came back"


def _pruned_are_zero(_: Settings, group: ChainGroup, round: int, seed: int) -> str:
    folder = paths.trained_folder(group.at(round))
    mask = files.load_mask(folder, seed)
    if digest(mask) != digest(_mask(group, round, seed)):
        return ANOTHER_MASK
    names = masks.revived(files.load_weights(folder, seed), mask)
    return f"{names[0]} has a pruned weight that is not 0" if names else ""


def _pruned_are_frozen(_: Settings, group: ChainGroup, round: int, seed: int) -> str:
    folder = paths.trained_folder(group.at(round))
    mask = files.load_mask(folder, seed)
    if digest(mask) != digest(_mask(group, round, seed)):
        return ANOTHER_MASK
    trained = files.load_weights(folder, seed)
    start = files.load_weights(paths.starts_folder(group.at(round)), seed)
    for name, kept in mask.items():
        if trained[name][~kept].tobytes() != start[name][~kept].tobytes():
            return f"{name} has a pruned weight that is not as in its start"
    return ""


def _scores_make_it(settings: Settings, group: ChainGroup, round: int, seed: int) -> str:
    """Make the network again from its start and its scores alone."""
    task, folder = settings.tasks[group.task], paths.trained_folder(group.at(round))
    network = build_network(task)
    rule = rules.score_rule(task, group.variant.prune, round)
    assert rule is not None, "its policy trains scores"
    start = files.load_weights(paths.starts_folder(group.at(round)), seed)
    scores = files.load_arrays(paths.seed_file(folder, seed, "scores"))
    end = total_steps(task)
    last = moment(end, group.variant.rewind.first_step, end, seed=seed, round=round)
    acting, mask = act(rule, start, scores, last)
    held = held_names(parameters(network), rule)
    wanted = {name: start[name] for name in held} | acting
    found = files.load_weights(folder, seed)
    for name, values in wanted.items():
        if found[name].tobytes() != values.tobytes():
            return f"{name} is not what scores and start make"
    return "" if digest(mask) == digest(_mask(group, round, seed)) else ANOTHER_MASK


def _starts_are_rewound(
    settings: Settings, group: ChainGroup, round: int, seed: int
) -> str:
    task = settings.tasks[group.task]
    behind = Behind(
        data=paths.data_file(task.data),
        theta0=paths.theta0_folder(group.task, group.seeds),
        mask=group.mask_before(round),
        weights=group.weights_behind(round),
        round=round,
        source=settings.tasks[group.owner_task],
    )
    rewind = group.variant.rewind
    known = read(behind, task, group.variant, seed)
    source = source_weights(known, task.program.start(rewind.to), rewind.draw)
    start = files.load_weights(paths.starts_folder(group.at(round)), seed)
    expected = start_weights(known, source, rewind.pruned)
    if digest(start) == digest(expected):
        return ""
    return f"the start is not {rewind.to} under the mask"


def _one_theta0(_: Settings, group: ChainGroup, round: int, seed: int) -> str:
    folder = paths.theta0_folder(group.task, group.seeds)
    theta0 = digest(files.load_weights(folder, seed))
    folders = [paths.starts_folder(group.at(round))]
    rewind = group.variant.rewind
    if STARTS[rewind.to].step == "needed" and rewind.task is None:
        folders.append(group.weights_behind(round))
    for folder in folders:
        facts = files.load_facts(paths.seed_file(folder, seed))
        if facts["theta0"] != theta0:
            return "its start came from another θ₀"
    return ""
