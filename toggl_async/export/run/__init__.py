"""Runs: reading into a mirror (`refresh`), the mirror for programs (`mirror`), and files (`directory`)."""

__all__: list[str] = []
