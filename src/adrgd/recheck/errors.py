"""What is wrong with a proof."""

from adrgd.errors import AdrgdError, UsageError


class ProofFileError(UsageError):
    """A file is no proof, is damaged, or is about other files than those given."""


class RefusedError(AdrgdError):
    """A proof does not show what it says."""


class UncheckedError(UsageError):
    """A network has an operator that proofs are not checked for."""
