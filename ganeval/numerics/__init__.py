"""What metrics and verdicts are made of: moments, distances between all pairs, neighbours, errors and intervals.

Functions of tensors; what they add up to has a name in `ganeval.metrics`.
"""
