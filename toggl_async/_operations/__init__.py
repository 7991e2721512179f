"""What can be called: operations, their arguments, pages, files and bulk edits."""

__all__: list[str] = []
