"""Adversarial attacks on classifiers: a threat model, its evaluation over a data set, a run folder, a report."""

from adrgd.attacks.certify import Certificate, Certifier
from adrgd.attacks.ensemble.standard import Standard
from adrgd.attacks.equal_passes import steps_within
from adrgd.attacks.evaluate import Attack, AttackResult, attack_batch
from adrgd.attacks.judges import Shared, shown_to, transfer
from adrgd.attacks.progress import BatchDone
from adrgd.attacks.run import run_attack
from adrgd.attacks.smallest.minimum import Minimum, Smallest, smallest_changes
from adrgd.attacks.task import TaskAttack, TaskResult, attack_task
from adrgd.attacks.threat import Threat

__all__ = [
    "Attack",
    "AttackResult",
    "BatchDone",
    "Certificate",
    "Certifier",
    "Minimum",
    "Shared",
    "Smallest",
    "Standard",
    "TaskAttack",
    "TaskResult",
    "Threat",
    "attack_batch",
    "attack_task",
    "run_attack",
    "shown_to",
    "smallest_changes",
    "steps_within",
    "transfer",
]
