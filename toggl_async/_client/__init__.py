"""The call path: from a coroutine to the scheduler, and from its answer to a record."""

__all__: list[str] = []
