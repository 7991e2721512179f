"""What to export: the datasets, which of their rows, and what that costs."""

__all__: list[str] = []
