"""Training settings that tests vary."""

from pipeline.core.training.settings import Schedule, TrainSettings

PLAIN = TrainSettings(
    steps=50,
    epochs=None,
    batch_size=60,
    optimizer="adam",
    lr=1.2e-3,
    momentum=0.0,
    weight_decay=0.0,
    schedule=Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0),
    augment="none",
    evaluate_every=10,
    test_cadence="improved",
    common_noise=True,
    engine="auto",
    device="cpu",
)
