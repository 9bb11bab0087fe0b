"""Files that ask for everything, each given to a command: how it ends, after how long, with how much memory.

    python benchmarks/hostile_files.py

Writes results/hostile_files.md. Each command runs in a process of its own; the first one reads nothing, the second a
sound network and property, for comparison.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

RESULTS = Path(__file__).parent / "results" / "hostile_files.md"

BOX = "".join(
    f"(declare-const {one}_{k} Real)\n" + (f"(assert (>= X_{k} -1))(assert (<= X_{k} 1))\n" if one == "X" else "")
    for one in "XY"
    for k in range(2)
)


def expanding(size: int) -> bytes:
    """A gzip file of so many zeros, written as members of 64 MiB one after the other."""
    piece = 2**26
    return gzip.compress(bytes(piece), 9) * (size // piece)


def network(file: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], **external: str) -> None:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    if external:
        tensors[0].ClearField("raw_data")
        tensors[0].data_location = TensorProto.EXTERNAL
        for key, value in external.items():
            tensors[0].external_data.add(key=key, value=value)
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())


def lying_archive(size: int) -> bytes:
    """An .npz file whose directory promises an array of so many bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", bytes(1000))
        archive.infolist()[0].file_size = size
    return buffer.getvalue()


def picture() -> bytes:
    """A picture of 60,000 x 60,000 pixels, as it says."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    return bytes(content)


def write(folder: Path) -> None:
    """All of the files."""
    product = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    network(folder / "net.onnx", product, {"w": np.eye(2, dtype=np.float32)})
    bomb = [helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("ReduceSum", ["c"], ["t"]),
            helper.make_node("Add", ["x", "t"], ["y"])]  # fmt: skip
    network(folder / "constant.onnx", bomb, {"s": np.array([10**11])})
    network(folder / "outside.onnx", product, {"w": np.eye(2, dtype=np.float32)}, location="../../../etc/passwd")
    (folder / "net.onnx.gz").write_bytes(expanding(7 * 10**9))
    (folder / "zeros.vnnlib.gz").write_bytes(expanding(7 * 10**9))
    (folder / "one.vnnlib").write_text(BOX + "(assert (<= Y_0 5))\n")
    either = "(assert (or (<= Y_0 5) (<= Y_1 5)))\n"
    (folder / "powers.vnnlib").write_text(BOX + either * 40)
    (folder / "sixteen.vnnlib").write_text(BOX + either * 16)
    nested = "(<= Y_0 5)"
    for level in range(14):
        nested = f"({'or' if level % 2 else 'and'} {nested} {nested})"
    (folder / "nested.vnnlib").write_text(BOX + f"(assert {nested})\n")
    (folder / "a.npz").write_bytes(lying_archive(20 * 2**30))
    (folder / "pictures/a").mkdir(parents=True)
    (folder / "pictures/a/large.png").write_bytes(picture())
    os.mkfifo(folder / "pictures/a/pipe.png")
    (folder / "run").mkdir()
    levels = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    levels += [f"{chr(97 + k)}: &{chr(97 + k)} [{','.join(['*' + chr(96 + k)] * 9)}]" for k in range(1, 9)]
    (folder / "run/config.yaml").write_text("\n".join(levels))


ATTACK = "attack --model bundled:mnist-pgd --eps 0.1 --steps 1"

COMMANDS = {
    "nothing": "--version",
    "a sound network and property": "falsify net.onnx one.vnnlib",
    "VNN-LIB, 7 GB when expanded": "falsify net.onnx zeros.vnnlib.gz",
    "ONNX, 7 GB when expanded": "falsify net.onnx.gz one.vnnlib",
    "ONNX, a constant of 10^11 numbers": "falsify constant.onnx one.vnnlib",
    "ONNX, weights in /etc": "falsify outside.onnx one.vnnlib",
    "VNN-LIB, 2^40 cases": "falsify net.onnx powers.vnnlib",
    "VNN-LIB, 2^16 cases, 2 s": "falsify net.onnx sixteen.vnnlib --timeout 2",
    "VNN-LIB, doubled 14 times": "falsify net.onnx nested.vnnlib",
    "npz, 20 GiB as it says": f"{ATTACK} --data npz:a.npz --out out",
    "a picture of 3.6 gigapixels, and a pipe": f"{ATTACK} --data folder:pictures --out out",
    "settings with aliases of aliases": f"{ATTACK} --data bundled:mnist --limit 2 --resume --out run",
}


def main() -> None:
    rows = ["| file | exit code | last line | seconds | processor seconds | peak MiB |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            words = [sys.executable, "-m", "adrgd", *command.split()]
            done = subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            text = done.stdout.read() if done.stdout else ""
            _, status, used = os.wait4(done.pid, 0)
            spent, worked = time.perf_counter() - started, used.ru_utime + used.ru_stime
            line = (text.strip().splitlines() or [""])[-1].replace(place, "").replace("|", "/")
            code = os.waitstatus_to_exitcode(status)
            rows.append(f"| {name} | {code} | {line} | {spent:.1f} | {worked:.1f} | {used.ru_maxrss / 1024:.0f} |")
            print(rows[-1], flush=True)
    RESULTS.write_text("\n".join(["`python benchmarks/hostile_files.py`", "", *rows]) + "\n")


if __name__ == "__main__":
    main()
