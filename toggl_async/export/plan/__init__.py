"""What an export asks for: its datasets, what is taken of them, and what that costs."""

__all__: list[str] = []
