import re
from dataclasses import fields

import pytest

from pipeline.compare import claims
from pipeline.compare.claims import ClaimsError, load, roles
from pipeline.config.rewind import Rewind
from pipeline.config.settings import Prune
from pipeline.core.optimizers import OPTIMIZERS
from pipeline.core.training.settings import Schedule, TrainSettings

VALID = """
variants:
  ticket: {mask.from: own, rewind.to: theta0}
protocols:
  lenet:
    settings: {data: mnist, model.name: lenet-300-100, train.lr: [0.0012, 1e-3]}
    masks: {scope: layerwise}
    min_steps: 10000
    dense_accuracy: 0.97
claims:
- id: faster
  claim: Tickets are faster.
  source: Somebody 2019
  where: Figure 1
  sure: memory
  protocol: lenet
  published: 0.62
  check: {kind: ratio, variant: ticket, against: dense, at: [0.211], high: 1.0}
"""


def test_the_published_claims_can_be_loaded_and_are_at_least_25():
    book = load()
    assert len(book.claims) >= 25
    assert {claim.protocol for claim in book.claims} == set(book.protocols)
    assert {role for claim in book.claims for role in roles(claim.check)} == {
        "dense",
        *book.variants,
    }


def test_every_kind_of_check_is_used():
    assert {claim.check.kind for claim in load().claims} == {
        "barrier",
        "difference",
        "equivalence",
        "leaves",
        "ratio",
        "reading",
        "winning",
    }


def test_a_word_says_on_which_side_of_its_bound_a_value_lies():
    above = {"more", "more accurate", "better", "above", "ahead", "slower", "as good"}
    above |= {"near", "no loss", "not worse"}
    below = {"less", "worse", "behind", "sooner", "faster"}
    for claim in load().claims:
        check = claim.check
        if isinstance(check, claims.Difference | claims.Ratio):
            word = claim.published
            has_low, has_high = check.low is not None, check.high is not None
            assert not isinstance(word, str) or word in above | below, claim.id
            assert word not in above or (has_low and not has_high), claim.id
            assert word not in below or (has_high and not has_low), claim.id


def test_a_published_number_lies_within_the_bounds_of_its_check():
    for claim in load().claims:
        check = claim.check
        if isinstance(claim.published, str) or isinstance(check, claims.Winning):
            continue
        if isinstance(check, claims.Leaves):
            low, high = check.lower, check.upper
        elif isinstance(check, claims.Equivalence):
            low, high = -check.margin, check.margin
        else:
            low, high = check.low, check.high
        assert low is None or low <= claim.published, claim.id
        assert high is None or claim.published <= high, claim.id


def test_every_protocol_names_data_and_model():
    for protocol in load().protocols.values():
        assert {"data", "model.name"} <= set(protocol.settings)


ACCEPTED = {
    "train.steps": "asked for as min_steps",
    "train.epochs": "asked for as min_steps",
    "train.loss_precision": "a finer loss is the same loss with less rounding",
    "train.evaluations_per_decade": "when one looks changes no weight",
    "train.evaluate_train": "when one looks changes no weight",
    "train.measures": "when one looks changes no weight",
    "train.test_cadence": "when one looks changes no weight",
    "train.common_noise": "the verdict says it",
    "train.engine": "how it is computed, not what",
    "train.device": "how it is computed, not what",
    "train.processes": "how it is computed, not what",
    "prune.mask": "asked for as mask.from",
    "prune.blocks": "the order of blocks, where networks have other depths",
    "rewind.draw": "draws are repetitions",
}
"""settings that no protocol and no role asks for, with the reason"""


def test_settings_that_nothing_asks_for_are_named_with_the_reason():
    book = load()
    asked = {name for needed in book.variants.values() for name in needed}
    for protocol in book.protocols.values():
        asked |= {*protocol.settings, *protocol.recipe}
        asked |= {f"prune.{name}" for name in protocol.masks}
    asked = {re.sub(r"^mask\.(?!rewind)", "prune.", name) for name in asked}
    parts = {"train": TrainSettings, "prune": Prune, "rewind": Rewind}
    known = {f"{part}.{one.name}" for part, kind in parts.items() for one in fields(kind)}
    known |= {f"train.schedule.{one.name}" for one in fields(Schedule)}
    known -= {"train.schedule", "prune.kept"}  # its fields are there; derived
    ours = {n for n in known if not any(f"{a}.".startswith(f"{n}.") for a in asked)}
    assert ours == ACCEPTED.keys()


def test_what_a_schedule_or_an_optimizer_adds_is_asked_for():
    for name, protocol in load().protocols.items():
        needed, schedule = protocol.settings, protocol.settings.get("train.schedule.name")
        assert schedule != "milestones" or "train.schedule.gamma" in needed, name
        optimizer = OPTIMIZERS.get(str(needed.get("train.optimizer")))
        assert not (optimizer and optimizer.betas) or "train.betas" in needed, name
        assert not (optimizer and optimizer.momentum) or "train.momentum" in needed, name


def test_every_role_has_a_setting_for_pruned_weights():
    found = {role: needed["rewind.pruned"] for role, needed in load().variants.items()}
    assert {role for role, pruned in found.items() if pruned != "zero"} == {
        "freeze-init",
        "freeze-init-zero-mask",
    }


def test_numbers_are_yaml_1_2():
    lr = load(VALID).protocols["lenet"].settings["train.lr"]
    assert lr == (0.0012, 0.001)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("claims:\n", "claims: [\n", "claims.yaml is not YAML: "),
        ("kind: ratio", "kind: race", "claims.0.check: .*'race'.*'difference'"),
        ("high: 1.0", "hihg: 1.0", "claims.0.check.ratio.hihg: "),
        (", high: 1.0", "", "claim faster: no bounds; give low, high or both"),
        ("high: 1.0", "high: 1, low: 2", "low 2.0 is not below high 1.0"),
        ("high: 1.0", "high: 0", "bounds None to 0.0 of a ratio; give numbers above 0"),
        ("[0.211]", "[21.1]", r"densities \[21.1\]; give one, or two from large to small"),
        ("[0.211]", "[0.1, 0.2]", "densities .* ascend; write the largest first"),
        ("[0.211]", "[]", r"densities \[\]; give one"),
        ("published: 0.62", "published: 0", "published 0.* is no ratio; give a number"),
        ("variant: ticket", "variant: tikcet", "unknown variant tikcet; there is ticket"),
        ("protocol: lenet", "protocol: vgg", "unknown protocol vgg; there is lenet"),
        ("sure: memory", "sure: very", "claims.0.sure: "),
        ("  where: Figure 1\n", "", "claims.0.where: Field required"),
        ("model.name: lenet-300-100, ", "", "protocol lenet: names no model.name"),
    ],
)
def test_a_mistake_in_the_file_is_refused_in_one_line(old, new, message):
    assert old in VALID
    with pytest.raises(ClaimsError, match=message) as error:
        load(VALID.replace(old, new))
    assert "\n" not in str(error.value)


def test_an_equivalence_needs_its_margin():
    text = re.sub("kind: ratio.*", "", VALID) + (
        "kind: equivalence, variant: ticket, against: dense, metric: test_accuracy, "
        "at: [0.2], margin: 0}"
    )
    with pytest.raises(ClaimsError, match=r"claim faster: margin 0\.0; state one above 0"):
        load(text)


def test_a_claim_has_its_own_id():
    twice = VALID + VALID[VALID.index("- id") :]
    with pytest.raises(ClaimsError, match="claim faster appears twice"):
        load(twice)


def test_copies_part_at_a_step_from_0():
    text = re.sub("kind: ratio.*", "", VALID) + (
        "kind: barrier, variant: ticket, step: -1, at: [0.2], high: 0.02}"
    )
    with pytest.raises(ClaimsError, match="claim faster: step -1; give the step where"):
        load(text)
