"""Model families: each reads conditions, predicts many rows at once, and decodes."""
