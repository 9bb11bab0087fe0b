"""Write nodes.zip: a small network of each operator, from the tests that the package `onnx` ships.

python tests/fuzz/corpus/make.py
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

import torch

from adrgd.models.onnx import read_onnx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "benchmarks"))

import onnx_nodes  # noqa: E402

MOST = 20_000  # bytes of one network
FIXED = (2026, 1, 1, 0, 0, 0)  # the same file from the same tests


def runs(content: bytes) -> bool:
    """Whether a network is read, and takes two rows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.onnx"
        file.write_bytes(content)
        try:
            net = read_onnx(file)[0].float()
            net(torch.zeros(2, *net.input_shape))
        except Exception:  # each operator has its own ways of taking no more inputs that vary
            return False
    return True


def main() -> None:
    smallest: dict[str, bytes] = {}
    for test in onnx_nodes.cases(""):
        if test.left_out:
            continue
        for _, varying in onnx_nodes.ways(test):
            content = onnx_nodes.wrapped(test, varying)[0].SerializeToString()
            if len(content) >= min(MOST, len(smallest.get(test.op, bytes(MOST)))):
                break
            if runs(content):
                smallest[test.op] = content
                break
    with zipfile.ZipFile(HERE / "nodes.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(smallest.items()):
            archive.writestr(zipfile.ZipInfo(f"{name}.onnx".replace(" ", "-"), FIXED), content, zipfile.ZIP_DEFLATED, 9)
    print(f"{len(smallest)} networks, {(HERE / 'nodes.zip').stat().st_size} bytes")


if __name__ == "__main__":
    main()
