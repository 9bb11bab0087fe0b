"""The smallest change of each image that breaks it."""
