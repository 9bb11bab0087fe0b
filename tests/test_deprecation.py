"""Old names go on to work, and say so."""

import pytest

from adrgd.deprecation import RenamedWarning, renamed_arguments
from adrgd.errors import UsageError


@renamed_arguments(goes="9.0", radius="eps")
def ball(centre: int, *, eps: int = 1) -> tuple[int, int]:
    return centre, eps


def test_old_names_of_arguments() -> None:
    assert ball(3, eps=2) == (3, 2)
    with pytest.warns(RenamedWarning, match="^radius is called eps now; the old name goes in version 9.0$") as caught:
        assert ball(3, radius=2) == (3, 2)  # type: ignore[call-arg]
    assert caught[0].filename == __file__
    with pytest.raises(UsageError, match="given eps and radius, which are the same; keep eps"):
        ball(3, radius=2, eps=2)  # type: ignore[call-arg]
