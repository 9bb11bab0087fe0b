"""What a user's code looks like to a type checker: `pyright -p packaging/typed` has to find nothing."""

from typing import assert_type

import torch
from torch import Tensor, nn

import adrgd
from adrgd.attacks import Attack, AttackResult, Threat, attack_batch
from adrgd.exact import Certificate, certify, mlp_from_module

model = adrgd.load_model("bundled:mnist-pgd")
data = adrgd.load_data("bundled:mnist", limit=4)
assert_type(model, adrgd.Model)
assert_type(data.images, Tensor)

found = adrgd.maximize(
    adrgd.Misclassify(model, data.labels),
    data.images,
    domain=adrgd.LinfBall(data.images, 0.1, adrgd.Box(0, 1)),
    solver=adrgd.GraduatedADR(gates=adrgd.GraduatedGates(sigma0=1.0)),
)
assert_type(found, adrgd.Solution)
assert_type(found.x, Tensor)
assert_type(found.seconds, float)

result = attack_batch(model, data.images, data.labels, Attack(threat=Threat(norm="l2", eps=1.0), steps=5))
assert_type(result, AttackResult)
assert_type(result.success, Tensor)


def score(x: Tensor) -> Tensor:
    return x.square().sum(1)


best = adrgd.maximize(score, torch.zeros(1, 2), domain=adrgd.Box(-1.0, 1.0), solver="pgd").value
assert_type(best, Tensor)

proof = certify(mlp_from_module(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))), -1.0, 1.0)
assert_type(proof, Certificate)
assert_type(proof.proven, bool)
