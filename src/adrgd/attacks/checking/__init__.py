"""What attacks have saved, looked at once more: with the images, the ball and the box, and the network."""

from adrgd.attacks.checking.examples import check_examples
from adrgd.attacks.checking.found import Examples
from adrgd.attacks.checking.subject import Subject

__all__ = ["Examples", "Subject", "check_examples"]
