"""What a model must be for its inputs to be optimised."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, UsageError
from adrgd.models.checks import check_model


class Function(nn.Module):
    """A function of a batch as a module in eval mode."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function, self.calls = function, 0
        self.eval()

    def forward(self, x: Tensor) -> object:
        self.calls += 1
        return self.function(x)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_sound_model_passes_in_three_calls(dtype: torch.dtype, x: Tensor) -> None:
    net = nn.Sequential(nn.Linear(6, 50), nn.BatchNorm1d(50), nn.ReLU(), nn.Dropout(), nn.Linear(50, 3)).eval()
    module = Function(net.to(dtype))
    check_model(module, x.to(dtype))
    assert module.calls == 3


def test_train_mode_of_any_part(x: Tensor) -> None:
    module = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.5)).eval()
    module[1].train()
    with pytest.raises(ModelError, match=r"its part '1' in train mode; call \.eval\(\)"):
        check_model(module, x)
    with pytest.raises(ModelError, match="it in train mode"):
        check_model(module.train(), x)


@pytest.mark.parametrize("wrapped", [False, True])
def test_graphs_of_torch_export_have_no_mode_to_be_in(wrapped: bool, x: Tensor) -> None:
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3))
    shapes = ({0: torch.export.Dim("batch")},)
    graph = torch.export.export(net.eval(), (x,), dynamic_shapes=shapes).module()
    assert graph.training
    check_model(nn.Sequential(graph) if wrapped else graph, x)  # nothing can be switched: eval() refuses
    learning = torch.export.export(net.train(), (x,), dynamic_shapes=shapes).module()
    with pytest.raises(ModelError, match="two calls"):
        check_model(nn.Sequential(learning) if wrapped else learning, x)


def _spoiled(x: Tensor) -> Tensor:
    return torch.where(torch.arange(len(x)).view(-1, 1) == 2, torch.nan, x)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x + 1e-3 * torch.rand_like(x), "two calls"),
        (lambda x: torch.dropout(x, 0.5, True), "two calls"),
        (lambda x: x - x.mean(0), "rest of its batch"),
        (lambda x: x + 0.001 * len(x), "rest of its batch"),
        (_spoiled, "infinity in row 2"),
        (lambda x: x / 0, "infinity in row 0"),
        (lambda x: x[:, :1], r"shape \(4, 1\)"),
        (lambda x: x[:, 0], r"shape \(4,\)"),
        (lambda x: x[:2], r"shape \(2, 6\)"),
        (lambda x: x.long(), "torch.int64"),
        (lambda x: (x, x), "found tuple"),
        (lambda x: x @ torch.ones(5, 3), "it fails"),
    ],
)
def test_what_is_refused(function: Callable[[Tensor], object], words: str, x: Tensor) -> None:
    with pytest.raises(ModelError, match=words):
        check_model(Function(function), x)


def test_a_batch_of_one_row_shows_nothing(x: Tensor) -> None:
    with pytest.raises(UsageError, match="at least two rows"):
        check_model(nn.Linear(6, 3).eval(), x[:1])
