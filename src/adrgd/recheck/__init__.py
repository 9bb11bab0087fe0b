"""Checks written proofs again, by code that shares nothing with what found them: numpy, the files, and few lines."""
