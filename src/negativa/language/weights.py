"""The weights of a text, in the grammar that it is written in."""

from negativa.language.prompting.syntaxes import parse, unparse

__all__ = ["parse", "unparse"]
