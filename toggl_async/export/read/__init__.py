"""From Toggl's pages to rows: which requests, in which order, and what may have changed since."""

__all__: list[str] = []
