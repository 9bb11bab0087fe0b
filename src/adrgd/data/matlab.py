"""Arrays in files of MATLAB, which need scipy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adrgd.errors import DataError, UsageError, optional
from adrgd.files import limits, reading


def read_matlab(path: Path, wanted: Sequence[str]) -> dict[str, Any]:
    """Arrays of a .mat file.

    Raises:
        MissingExtraError: scipy is not installed.
        DataError: the file is missing, damaged, too large, or lacks one of them.
    """
    told: dict[str, Any] = {}
    matlab = optional("scipy.io", extra="data")
    try:
        with reading.open_regular(path) as stream:
            told = {name: (shape, kind) for name, shape, kind in matlab.whosmat(stream)}
            limits.check("arrays", sum(_cells(shape) for name, (shape, _) in told.items() if name in wanted))
            stream.seek(0)
            content = matlab.loadmat(stream, variable_names=wanted)
            return {name: content[name] for name in wanted}
    except UsageError:
        raise
    except KeyError as error:
        raise DataError(
            f"expected {error} in {str(path)!r}, found {', '.join(told) or 'nothing'}; get it again"
        ) from None
    except Exception as error:  # its reader raises errors of many kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"expected a .mat file at {str(path)!r}, found: {reason}; get it again") from error


def _cells(shape: Sequence[int]) -> int:
    count = 8  # bytes of a number, at most
    for size in shape:
        count *= int(size)
    return count
