"""An export by toggl_async and by the other exporters, each from a server of its own with the same data."""
