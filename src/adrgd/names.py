"""Names that stand for a choice everywhere: in the library, in settings, on the command line. Nothing is imported."""

from __future__ import annotations

from typing import Literal

Norm = Literal["linf", "l2", "l1", "l0"]
"""How the size of a perturbation is measured."""

TaskName = Literal["classification", "binary", "multilabel", "segmentation", "regression"]
"""What a network answers with: one class, yes or no, a set of labels, a class for each pixel, a number."""

BoxName = Literal["data", "none"]
"""Where perturbed images may be, besides their ball: in the range of the data, or anywhere."""

EnsembleBy = Literal["logits", "probabilities", "worst"]
"""How several models answer as one."""

Saved = Literal["png", "npz", "parquet"]
"""A form in which the images of a run are saved besides its own files."""

STANDARD = "standard"
"""The ensemble by which a model is judged."""
