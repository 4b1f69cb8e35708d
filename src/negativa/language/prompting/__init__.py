"""What a prompt box says: weights, schedules, breaks and several prompts in one, in four grammars. Text in, structure out.

`read` gives the structure of one step, `is_scheduled` says whether the steps differ at all, `notices` says what of a text has
no effect or another than it seems. `negativa.language.weights.parse` and `unparse` are the weights alone.
"""

from negativa.language.prompting.clauses import Clause, is_scheduled, read, split_and, split_commas
from negativa.language.prompting.parts import BREAK, Chunk, Part
from negativa.language.prompting.remarks import notices
from negativa.language.prompting.schedules import at, schedule
from negativa.language.prompting.syntaxes import parse, unparse

__all__ = [
    "BREAK",
    "Chunk",
    "Clause",
    "Part",
    "at",
    "is_scheduled",
    "notices",
    "parse",
    "read",
    "schedule",
    "split_and",
    "split_commas",
    "unparse",
]
