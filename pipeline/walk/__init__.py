"""Do the trainings of a whole plan side by side, before DVC asks for them.

``dvc repro`` runs one stage after the other. So ``lt-pipeline run`` first walks the plan:
all chains of all variants, seeds and tasks at once, in the order that their inputs allow.
It calls what the stages call, masks and starts on the way, and leaves every training among
the checkpoints and the kept trainings, where the stages find them finished. DVC remains
the only one that records.

What the walk makes beside trainings lies in ``.lt/walk`` and goes with its end.
"""
