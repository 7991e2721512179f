"""What an export stores: rows, progress and the manifest, so that it can resume after any interruption."""

__all__: list[str] = []
