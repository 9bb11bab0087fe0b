"""Codes are found where they exist, results depend on a target alone, and unfit generators are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from adrgd import Box, DataError, L2Ball, ModelError, UsageError
from adrgd.latent import Blur, Downsample, RandomMask, invert, reconstruct


@pytest.mark.parametrize("solver", ["graduated", "adam"])
def test_finds_codes_that_exist(generator: nn.Sequential, targets: Tensor, solver: str) -> None:
    found = reconstruct(generator, targets, solver=solver, restarts=4, steps=200)
    assert found.error is not None
    assert (found.error < 1e-5).all()
    torch.testing.assert_close(generator(found.z), found.images)


def test_sees_through_an_operator(generator: nn.Sequential, targets: Tensor) -> None:
    for operator in (RandomMask(0.4), Blur(0.8), lambda images: images[..., ::2].flatten(1)):
        found = reconstruct(generator, targets, operator=operator, restarts=4, steps=200)
        assert found.error is not None
        assert (found.error < 1e-4).all()
        assert (found.residual <= 1e-4).all()


@pytest.mark.filterwarnings("ignore:.*have no gate")  # what adr leaves out, it says
@pytest.mark.parametrize("solver", ["graduated", "adam", "gd", "adr"])
def test_improves_on_its_start_and_counts(generator: nn.Sequential, targets: Tensor, solver: str) -> None:
    found = reconstruct(generator, targets, solver=solver, steps=20)
    assert (found.history[-1] < found.history[0]).all()
    torch.testing.assert_close(found.history[-1], found.residual)
    assert (found.backwards >= 20).all()
    assert found.history.shape == (21, len(targets))


def test_a_target_alone_gives_the_same_code(generator: nn.Sequential, targets: Tensor) -> None:
    together = reconstruct(generator, targets, steps=20)
    alone = reconstruct(generator, targets[4:], steps=20, identity=torch.tensor([4, 5]))
    torch.testing.assert_close(alone.z, together.z[4:])


def test_codes_stay_in_their_domain(generator: nn.Sequential, targets: Tensor) -> None:
    ball = reconstruct(generator, targets, domain=L2Ball(torch.zeros(4), 0.5), steps=20)
    box = reconstruct(generator, targets, domain=Box(-0.2, 0.2), steps=20)
    assert (ball.z.double().norm(dim=1) <= 0.5).all()
    assert (box.z.abs() <= 0.2).all()


def test_a_prior_pulls_codes_to_the_middle(generator: nn.Sequential, targets: Tensor) -> None:
    lengths = [reconstruct(generator, targets, prior=p, steps=100).z.norm(dim=1).mean() for p in (0.0, 0.5, 50.0)]
    assert lengths[0] > lengths[1] > lengths[2]
    assert lengths[2] < 0.3


def test_measurements_without_the_image(generator: nn.Sequential, targets: Tensor) -> None:
    small = Downsample(2)(targets)
    found = invert(generator, small, operator=Downsample(2), restarts=2)
    assert found.error is None
    assert (found.residual < 1e-4).all()
    with pytest.raises(UsageError, match="use the operator that made them"):
        invert(generator, small, operator=Downsample(4))


def test_start_and_code_can_be_given(generator: nn.Sequential, targets: Tensor) -> None:
    start = torch.zeros(len(targets), 4)
    found = reconstruct(lambda z: generator(z), targets, start=start, code=4, steps=1)
    torch.testing.assert_close(found.history[0], (generator(start) - targets).square().flatten(1).mean(1))
    with pytest.raises(ModelError, match="codes does not show"):
        reconstruct(lambda z: generator(z), targets)


class Noisy(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor) -> Tensor:
        made = self.inner(z)
        return made * torch.rand_like(made)


def test_unfit_generators(generator: nn.Sequential, targets: Tensor) -> None:
    with pytest.raises(ModelError, match="train mode"):
        reconstruct(nn.Sequential(generator, nn.Dropout()).train(), targets)
    with pytest.raises(ModelError, match="same"):
        reconstruct(Noisy(generator).eval(), targets)
    with pytest.raises(ModelError, match=r"must lie in \[0, 1\]"):
        reconstruct(nn.Sequential(*generator[:3], nn.Tanh(), generator[4]).eval(), targets)
    with pytest.raises(ModelError, match="must return images"):
        reconstruct(generator[:4].eval(), targets)
    with pytest.raises(ModelError, match="right shape by code"):
        reconstruct(generator, targets, code=5)


def test_unfit_targets(generator: nn.Sequential, targets: Tensor) -> None:
    with pytest.raises(DataError, match="rescale"):
        reconstruct(generator, targets * 255)
    with pytest.raises(DataError, match="resize"):
        reconstruct(generator, torch.zeros(2, 1, 9, 8))
    with pytest.raises(DataError, match="convert their channels"):
        reconstruct(generator, torch.zeros(2, 3, 8, 8))
    with pytest.raises(DataError, match="floating-point images"):
        reconstruct(generator, torch.zeros(8, 8))
    with pytest.raises(DataError, match="rescale"):
        reconstruct(generator, targets * float("nan"))


def test_unfit_requests(generator: nn.Sequential, targets: Tensor) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        reconstruct(generator, targets, operator=Downsample(3))
    with pytest.raises(UsageError, match="does not fit"):
        reconstruct(generator, targets, operator=lambda images: images @ torch.zeros(3, 3))
    with pytest.raises(UsageError, match="one row an image"):
        reconstruct(generator, targets, operator=lambda images: images.mean())
    with pytest.raises(UsageError, match="unknown solver"):
        reconstruct(generator, targets, solver="nope")
    with pytest.raises(UsageError, match="prior"):
        reconstruct(generator, targets, prior=-1)
