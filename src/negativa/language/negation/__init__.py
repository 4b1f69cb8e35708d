"""What a text says should not be in the picture: "a man without a hat" is the prompt "a man" and the negative "hat"."""

from negativa.language.negation.splitting import Split, doubled, split

__all__ = ["Split", "doubled", "split"]
