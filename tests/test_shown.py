"""What a notebook shows of results."""

import torch

import adrgd
from adrgd.shown import short


def test_results_are_shown_by_shapes_and_ranges() -> None:
    model, data = adrgd.load_model("bundled:mnist-pgd"), adrgd.load_data("bundled:mnist", limit=3)
    domain = adrgd.LinfBall(data.images, 0.1, adrgd.Box(0, 1))
    found = adrgd.maximize(adrgd.Misclassify(model, data.labels), data.images, domain=domain, steps=2)
    text = repr(found)
    assert text.startswith("Solution(x=<float32 3 x 1 x 28 x 28: 0 to 1>, value=<float32 3: ")
    assert "reached=<0 of 3 true>" in text
    attack = adrgd.Attack(threat=adrgd.Threat(eps=0.1), steps=2)
    other = repr(adrgd.attack_batch(model, data.images, data.labels, attack))
    assert max(len(text), len(other)) < 1200
    assert "tensor(" not in text + other


def test_short() -> None:
    assert short(torch.zeros(0, 3)) == "<float32 0 x 3>"
    assert short(torch.tensor(2)) == "<int64 1: 2>"
    assert short(torch.tensor([1j])) == "<complex64 1>"
    assert short("a" * 99) == "'" + "a" * 76 + "..."
    assert short(None) == "None"
