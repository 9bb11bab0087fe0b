"""The ensemble to judge a model by, from its cheapest runs to the last of what it does for images that stand."""
