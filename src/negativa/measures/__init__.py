"""Measures: what a picture, a pair of pictures or a whole arm of an experiment is worth in numbers."""
