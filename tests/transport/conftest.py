"""How many runs each property gets: few by default, many with ``--hypothesis-profile deep``."""

from hypothesis import settings

settings.register_profile("deep", max_examples=5_000)
