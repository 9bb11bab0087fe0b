"""Attacks of other libraries: run as they are, judged by us, apart from everything else."""

import importlib
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from adrgd import Attack, UsageError
from adrgd.attacks.case import Case
from adrgd.attacks.matrix import Own, Peer, peers, run_matrix
from adrgd.attacks.matrix.watched import Watched
from adrgd.data import Images
from adrgd.errors import MissingExtraError

from .problems import Problem

EPS = 0.06


def needs(module: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module(module)
        except ImportError:
            pytest.skip(f"needs {module}")


def test_torchattacks_is_run_as_it_is(problem: Problem) -> None:
    needs("torchattacks")
    spec = "torchattacks:PGD?steps=5&alpha=0.02&random_start=false"
    given = problem.case()
    result = Peer.named(spec)(given)
    theirs = importlib.import_module("torchattacks").PGD(problem.net, eps=EPS, alpha=0.02, steps=5, random_start=False)
    found: Tensor = theirs(problem.images, problem.labels)
    assert torch.allclose(result.adversarial, found, atol=1e-6)
    assert torch.equal(result.success, problem.net(result.adversarial).argmax(1) != problem.labels)
    assert (result.forward_passes == 5).all()
    assert (result.backward_passes == 5).all()
    assert not result.outside.any()
    assert (result.broken_after[result.success] > 0).all()
    assert (result.broken_after[~result.success] == -1).all()


@pytest.mark.parametrize("spec", ["torchattacks:PGD?steps=8&alpha=0.1", "foolbox:LinfPGD?steps=8"])
def test_targets(problem: Problem, spec: str) -> None:
    needs(spec.partition(":")[0])
    result = Peer.named(spec)(problem.case(eps=0.5, target="next"))
    assert torch.equal(result.target, (problem.labels + 1) % 4)
    assert torch.equal(result.success, result.adversarial_prediction == result.target)
    assert result.success.any()


def test_foolbox(problem: Problem) -> None:
    needs("foolbox")
    result = Peer.named("foolbox:L2PGD?steps=6")(problem.case(norm="l2", eps=0.2))
    assert (result.backward_passes == 6).all()
    assert (result.distance <= 0.2).all()
    assert not result.unconfirmed.any()


@pytest.mark.parametrize("spec", ["pyautoattack?attacks=apgd-ce", "torchattacks:APGD?steps=10"])
def test_attacks_that_stop_at_success(problem: Problem, spec: str) -> None:
    needs(spec.partition("?")[0].partition(":")[0])
    result = Peer.named(spec)(problem.case())
    assert result.success.any()
    assert not result.silent.any()
    with pytest.raises(UsageError, match="no targeted mode"):
        Peer.named(spec)(problem.case(target="next"))


def test_adv_lib_without_torchvision(problem: Problem) -> None:
    """It keeps to the ball, takes its own arguments, and goes to targets where it is told to."""
    needs("adv_lib")
    result = Peer.named("adv-lib:apgd?n_iter=8&loss_function=ce")(problem.case())
    assert (result.backward_passes == 9).all()  # the first of them at the random start
    assert not result.outside.any()
    assert result.success.any()
    assert (result.distance <= EPS + 1e-6).all()
    aimed = Peer.named("adv-lib:apgd?n_iter=8&loss_function=ce")(problem.case(eps=0.5, target="next"))
    assert torch.equal(aimed.success, aimed.adversarial_prediction == aimed.target)
    assert aimed.success.any()
    with pytest.raises(UsageError, match="leave it out of targeted evaluations"):
        Peer.named("adv-lib:apgd_targeted")(problem.case(target="next"))
    with pytest.raises(UsageError, match="expected adv-lib:apgd or adv-lib:apgd_targeted, found adv-lib:fmn"):
        Peer.named("adv-lib:fmn")(problem.case())


def test_the_same_seed_gives_the_same_result_and_draws_from_nobody(problem: Problem) -> None:
    needs("foolbox")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (Peer.named("foolbox:LinfPGD?steps=3", seed=seed)(problem.case()) for seed in (0, 0))
    other = Peer.named("foolbox:LinfPGD?steps=3", seed=1)(problem.case())
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.adversarial, second.adversarial)
    assert not torch.equal(first.adversarial, other.adversarial)


def test_a_peer_that_cheats_is_found_out(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points outside the ball do not count; a broken point that was passed on the way is a silent success."""

    def cheat(model: Watched, given: Case, peer: Peer) -> tuple[Tensor, Tensor]:
        model(given.clean)
        found = given.clean.clone()
        found[:5] = 1 - found[:5]
        found[5] = torch.nan
        return found, torch.ones(len(found), dtype=torch.bool)

    monkeypatch.setitem(peers.LIBRARIES, "foolbox", cheat)
    result = Peer.named("foolbox:Cheat")(problem.case())
    right = problem.net(problem.images).argmax(1) == problem.labels
    assert result.outside[:6].all()
    assert not result.outside[6:].any()
    assert torch.equal(result.success, ~right)
    assert torch.equal(result.unconfirmed, right)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("keras:PGD", "expected a peer as"),
        ("torchatacks:PGD", "did you mean 'torchattacks'"),
        ("foolbox", "expected a peer as"),
        ("foolbox:LinfPGD?steps", "key=value"),
    ],
)
def test_wrong_names(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Peer.named(spec)


def test_unknown_attacks_and_missing_libraries(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("foolbox")
    with pytest.raises(UsageError, match="no attack 'LinfPDG'; did you mean 'LinfPGD'"):
        Peer.named("foolbox:LinfPDG")(problem.case())

    def missing(name: str) -> None:
        raise ImportError("No module named 'torchvision'")

    monkeypatch.setattr(peers.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"torchattacks cannot be imported .*torchvision.*--no-deps"):
        Peer.named("torchattacks:PGD")(problem.case())


WITHOUT_GRADIENTS = {
    "linf": ("torchattacks:Square?n_queries=60", "pyautoattack?attacks=square"),
    "l2": ("foolbox:BoundaryAttack?steps=40", "foolbox:HopSkipJumpAttack?steps=2",
           "art:HopSkipJump?max_iter=2&max_eval=40&init_eval=10"),
}  # fmt: skip
"""Square, and attacks that see nothing but the predicted class, by norm."""


@pytest.mark.parametrize(
    ("norm", "spec"), [(norm, spec) for norm, specs in WITHOUT_GRADIENTS.items() for spec in specs]
)
def test_attacks_without_gradients_run_on_models_that_have_none(
    problem: Problem, norm: str, spec: str, tmp_path: Path
) -> None:
    needs(spec.partition("?")[0].partition(":")[0])

    class Steps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return problem.net((32 * x).int().float() / 32)

    net = Steps().eval()
    clean = net(problem.images).argmax(1)
    images = Images(problem.images[:10], clean[:10], torch.arange(10), None, "")
    summary = run_matrix(
        {"net": net}, images, [Own.named("pgd", Attack(steps=3)), Peer.named(spec)], tmp_path / "run", eps=[0.8],
        norm=norm,
    )  # fmt: skip
    failures = {one["attack"]: one["reason"] for one in summary["failures"]}
    assert list(failures) == ["pgd"], failures
    assert "differentiable" in failures["pgd"]
    (cell,) = summary["cells"]
    assert cell["success_rate"] > 0
    assert cell["backward_passes"] == 0


def test_art_is_run_as_it_is(problem: Problem) -> None:
    needs("art")
    result = Peer.named("art:ProjectedGradientDescentPyTorch?max_iter=5&eps_step=0.02")(problem.case())
    assert result.success.sum() > (result.clean_prediction != problem.labels).sum()
    assert not result.outside.any()
    nearest = Peer.named("art:HopSkipJump?max_iter=1&max_eval=20&init_eval=5")(problem.case(eps=0.8))
    assert nearest.success.any()
    aimed = Peer.named("art:ProjectedGradientDescentPyTorch?max_iter=8&eps_step=0.1")(
        problem.case(eps=0.5, target="next")
    )
    assert aimed.success.any()
    with pytest.raises(UsageError, match="no targeted mode"):
        Peer.named("art:DeepFool")(problem.case(target="next"))


def test_reasons_are_one_line() -> None:
    assert peers.reason(ValueError("first\nsecond")) == "ValueError: first"
    assert peers.reason(IndexError("")) == "IndexError: no message"
    assert "2 classes" in peers.reason(IndexError("index 3"), 2)
    assert "classes" not in peers.reason(IndexError("index 3"), 10)
