"""The checker shares nothing with what it checks."""

from __future__ import annotations

import subprocess
import sys


def test_the_checker_imports_neither_torch_nor_what_finds_proofs() -> None:
    words = "import sys, adrgd.recheck.check, adrgd.recheck.onnx_file, adrgd.recheck.proof_file; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert not [name for name in loaded if name.split(".")[0] == "torch"]
    assert not [name for name in loaded if name.startswith(("adrgd.bounds", "adrgd.proof", "adrgd.gates"))]
