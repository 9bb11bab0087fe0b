"""Proofs that a network does nothing of a given kind anywhere in a box."""
