"""The error of all that cannot be bounded."""

from adrgd.errors import ModelError


class NoBoundsError(ModelError):
    """A network has an operator whose values are not bounded here, or is too large for it."""
