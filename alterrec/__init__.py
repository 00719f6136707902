"""A reproducibility benchmark for AlterRec (arXiv 2402.08921): item ids and item texts in session-based recommendation."""

__version__ = "0.1.0"
