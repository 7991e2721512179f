"""Runs: reading into a mirror (`refresh`), what programs ask of one (`mirror`), and files (`directory`)."""

__all__: list[str] = []
