"""Recipes laid out to be compared."""
