"""Bounds of what networks compute over boxes of inputs."""
