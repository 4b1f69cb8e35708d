"""Ways in: each only translates, recipe in, receipt out."""
