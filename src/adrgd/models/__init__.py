"""Load trained networks from the files people keep them in."""

from adrgd.models.bundled import bundled_models
from adrgd.models.loading import Model, load_model, new_model

__all__ = ["Model", "bundled_models", "load_model", "new_model"]
