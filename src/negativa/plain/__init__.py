"""The nouns of the house; nothing here needs torch."""
