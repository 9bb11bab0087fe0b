"""Every way of running a model: the same gates as the plain one, or refused in a sentence, and never in silence."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from adrgd import AdrgdWarning, Box, LinfBall, ModelError, UsageError, maximize
from adrgd.attacks import Attack, attack_batch
from adrgd.attacks.gating import attack_gating
from adrgd.gates import look
from adrgd.models.exported import without_guards
from adrgd.solvers import GraduatedADR, make_solver

Network = Callable[[Tensor], Tensor]

SOLVERS = ("graduated", "graduated-secant")


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 12), nn.SiLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)]
    return nn.Sequential(*layers).double().eval().requires_grad_(False)


@pytest.fixture
def x0() -> Tensor:
    return torch.rand(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def found(network: Network, x0: Tensor, name: str = "graduated") -> Tensor:
    def objective(x: Tensor) -> Tensor:
        return network(x)[:, 0].to(x.dtype)

    return maximize(objective, x0, domain=LinfBall(x0, 0.3, Box(0, 1)), solver=make_solver(name), steps=8, seed=3).x


class Checkpointed(nn.Module):
    def __init__(self, net: nn.Sequential, reentrant: bool) -> None:
        super().__init__()
        self.head, self.rest, self.reentrant = net[:4], net[4:], reentrant

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(checkpoint(self.head, x, use_reentrant=self.reentrant))


def hooked(net: nn.Sequential) -> nn.Module:
    net = copy.deepcopy(net)
    net[2].register_forward_hook(lambda module, args, out: out * 1.0)
    return net


def weight_normed(net: nn.Sequential) -> nn.Module:
    net = copy.deepcopy(net)
    for k in (0, 2):
        parametrizations.weight_norm(net[k])
    return net.requires_grad_(False)


SAME: dict[str, Callable[[nn.Sequential], Network]] = {
    "torch.compile": lambda net: torch.compile(net, backend="eager"),
    "torch.compile of a part": lambda net: nn.Sequential(torch.compile(net[:4], backend="aot_eager"), net[4:]),
    "a compiled function": lambda net: torch.compile(lambda x: net(x), backend="eager"),
    "checkpoint": lambda net: Checkpointed(net, reentrant=False),
    "reentrant checkpoint": lambda net: Checkpointed(net, reentrant=True),
    "DataParallel": nn.DataParallel,
    "forward hooks": hooked,
    "weight norm": weight_normed,
    "functional_call": lambda net: lambda x: torch.func.functional_call(net, dict(net.named_parameters()), (x,)),
    "torch.export": lambda net: exported(net),
    "autocast that does nothing": lambda net: lambda x: torch.autocast("cpu", enabled=False)(net)(x),
}


def exported(net: nn.Sequential) -> nn.Module:
    example = torch.rand(3, 6, dtype=torch.float64)
    shapes = ({0: torch.export.Dim("rows")},)
    return without_guards(torch.export.export(net, (example,), dynamic_shapes=shapes))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What torch says of its own parts while they are being set up."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        for words in (r"The \.grad attribute", r"None of the inputs have requires_grad"):
            warnings.filterwarnings("ignore", message=words)
        yield


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("way", SAME)
def test_the_same_points_as_the_plain_model(way: str, name: str, net: nn.Sequential, x0: Tensor) -> None:
    network = SAME[way](net)
    network(x0)  # compiled once, outside
    assert [layer.kind for layer in look(lambda x: network(x).sum(1), x0).layers] == ["gelu", "silu", "relu"]
    torch.testing.assert_close(found(network, x0, name), found(net, x0, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", SOLVERS)
def test_half_precision_is_searched_in_single(dtype: torch.dtype, name: str, net: nn.Sequential, x0: Tensor) -> None:
    """The model gets its own type; the points stay float32, inside their ball, and are near those of the wide model."""
    half, x = copy.deepcopy(net).to(dtype), x0.float()
    with pytest.warns(AdrgdWarning, match="converted on their way in"):
        result = attack_batch(half, x, half(x.to(dtype)).argmax(1), Attack(solver=make_solver(name), steps=10))
    assert result.adversarial.dtype == torch.float32
    assert (result.adversarial - x).abs().max() <= 0.3 + 1e-6
    assert (result.adversarial_loss > result.clean_loss).any()
    gating = attack_gating(half, x.to(dtype), make_solver(name))
    assert gating is not None
    assert sum(gating.gated.values()) == 3


@pytest.mark.parametrize("name", SOLVERS)
def test_autocast_inside_a_model(name: str, net: nn.Sequential, x0: Tensor) -> None:
    single = copy.deepcopy(net).float()

    def cast(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return single(x)

    x = x0.float()
    moved, plain = found(cast, x, name), found(single, x, name)
    assert (single(moved)[:, 0] > single(x)[:, 0]).all()
    gain = (single(plain)[:, 0] - single(x)[:, 0]).mean()
    assert (single(moved)[:, 0] - single(x)[:, 0]).mean() > 0.8 * gain


def test_autocast_around_the_search(net: nn.Sequential, x0: Tensor) -> None:
    single, x = copy.deepcopy(net).float(), x0.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved = found(single, x)
    assert moved.dtype == torch.float32
    assert (single(moved)[:, 0] > single(x)[:, 0]).all()


@pytest.mark.parametrize(("model", "images"), [("double", "float"), ("float", "double")])
def test_other_types_are_converted_once_and_said(model: str, images: str, net: nn.Sequential, x0: Tensor) -> None:
    network, x = getattr(copy.deepcopy(net), model)(), getattr(x0, images)()
    labels = net(x0).argmax(1)
    with pytest.warns(AdrgdWarning, match=r"the model computes in float\d\d and the images are float\d\d") as said:
        result = attack_batch(network, x, labels, Attack(steps=5))
    assert len(said) == 1
    assert result.adversarial.dtype == x.dtype


@pytest.mark.parametrize("script", [torch.jit.script, lambda net: torch.jit.trace(net, torch.rand(2, 6).double())])
def test_scripted_objects_are_replayed(
    script: Callable[[nn.Module], nn.Module], net: nn.Sequential, x0: Tensor
) -> None:
    labels, attack = net(x0).argmax(1), Attack(steps=8)
    plain, scripted = (attack_batch(model, x0, labels, attack) for model in (net, script(net)))
    torch.testing.assert_close(scripted.adversarial, plain.adversarial, rtol=1e-9, atol=1e-9)


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


HIDDEN: dict[str, tuple[Callable[[nn.Sequential], Network], str]] = {
    "scripted inside a function": (lambda net: (lambda s: lambda x: s(x) * 1.0)(torch.jit.script(net)), "TorchScript"),
    "vmap": (lambda net: torch.func.vmap(net), "cannot be seen|torch.func"),
    "a custom function": (lambda net: lambda x: Straight.apply(net(x)), "Straight"),
    "a whole LSTM": (
        lambda net: (lambda lstm: lambda x: lstm(x[:, None])[0].flatten(1))(
            nn.LSTM(6, 3, batch_first=True).double().requires_grad_(False)
        ),
        "lstm",
    ),
    "pooling into unequal windows": (
        lambda net: lambda x: F.adaptive_max_pool1d(net(x)[:, None], 2).flatten(1),
        "adaptive_max_pool1d",
    ),
}


@pytest.mark.parametrize("way", HIDDEN)
def test_what_has_no_gate_is_said_once_and_can_be_made_an_error(way: str, net: nn.Sequential, x0: Tensor) -> None:
    make, word = HIDDEN[way]
    network = make(net)
    network(x0)
    settings = {"domain": LinfBall(x0, 0.1), "steps": 3}

    def objective(x: Tensor) -> Tensor:
        return network(x)[:, 0]

    with pytest.warns(AdrgdWarning, match=word) as said:
        solution = maximize(objective, x0, **settings)
    assert len(said) == 1
    assert solution.gating is not None
    assert any(not other.own for other in solution.gating.plain)
    with pytest.raises(ModelError, match="gates are required"):
        maximize(objective, x0, **settings, require_gates=True)
    assert maximize(objective, x0, **settings, solver=make_solver("pgd"), require_gates=True).gating is None


def test_adr_says_that_it_gates_hinges_only(net: nn.Sequential, x0: Tensor) -> None:
    with pytest.warns(AdrgdWarning, match="not piecewise linear"):
        solution = maximize(lambda x: net(x)[:, 0], x0, domain=Box(0, 1), solver=make_solver("adr"), steps=2)
    assert solution.gating is not None
    assert solution.gating.gated == {"relu": 1}


def test_layers_left_out_on_purpose_are_listed_without_a_warning(net: nn.Sequential, x0: Tensor) -> None:
    solver = GraduatedADR(gates=make_solver("graduated").gates.__class__(layers="last:1"))
    solution = maximize(lambda x: net(x)[:, 0], x0, domain=Box(0, 1), solver=solver, steps=2)
    assert solution.gating is not None
    assert (solution.gating.seen, solution.gating.gated, solution.gating.lost) == (3, {"relu": 1}, ())


NO_GRADIENT: dict[str, Callable[[nn.Sequential], Network]] = {
    "no_grad": lambda net: torch.no_grad()(net),
    "inference_mode": lambda net: torch.inference_mode()(net),
    "detach": lambda net: lambda x: net(x).detach(),
    "quantised": lambda net: torch.ao.quantization.quantize_dynamic(copy.deepcopy(net).float(), {nn.Linear}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", NO_GRADIENT)
def test_a_model_without_a_gradient_is_one_sentence(way: str, net: nn.Sequential, x0: Tensor) -> None:
    network = NO_GRADIENT[way](net)
    x = x0.float() if way == "quantised" else x0
    with pytest.raises(UsageError, match="does not depend on x through differentiable operations; look for no_grad"):
        maximize(lambda x: network(x)[:, 0], x, domain=Box(0, 1), steps=2)


def test_inference_mode_around_the_search_is_one_sentence_and_no_grad_is_no_obstacle(
    net: nn.Sequential, x0: Tensor
) -> None:
    with torch.inference_mode(), pytest.raises(UsageError, match=r"inside torch\.inference_mode"):
        found(net, x0)
    with torch.no_grad():
        inside = found(net, x0)
    assert torch.equal(inside, found(net, x0))


def test_a_model_in_train_mode_is_refused_by_attack_batch_and_not_changed(x0: Tensor) -> None:
    network = (
        nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).double().requires_grad_(False)
    )
    before = copy.deepcopy(network.state_dict())
    for model in (network, lambda x: network(x)):
        with pytest.raises(ModelError, match="train mode"):
            attack_batch(model, x0, torch.zeros(5, dtype=torch.int64), Attack(steps=2))
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("first", [True, False], ids=["batch first", "sequence first"])
@pytest.mark.parametrize("name", SOLVERS)
def test_transformers(name: str, first: bool) -> None:
    """An encoder gives the same points whichever way its batch lies, with its feed-forward activations gated."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, activation="gelu", batch_first=True, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double().eval().requires_grad_(False)
    other = copy.deepcopy(encoder)
    for part in other.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.batch_first = False

    def plain(x: Tensor) -> Tensor:
        return encoder(x.view(-1, 3, 4)).flatten(1)

    def turned(x: Tensor) -> Tensor:
        return other(x.view(-1, 3, 4).transpose(0, 1)).transpose(0, 1).flatten(1)

    x = torch.rand(4, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    network = plain if first else turned
    inventory = look(lambda x: network(x).sum(1), x)
    assert [layer.kind for layer in inventory.layers] == ["gelu", "gelu"]
    assert all(other.own for other in inventory.others)
    torch.testing.assert_close(found(network, x, name), found(plain, x, name), rtol=1e-8, atol=1e-8)
