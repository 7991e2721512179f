"""What an export keeps: rows, progress and the manifest, so that it can go on after anything."""

__all__: list[str] = []
