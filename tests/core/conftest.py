"""Profiles of hypothesis for the core: thousands of examples by night, few for each mutant."""

from hypothesis import settings

settings.register_profile("deep", max_examples=5_000)
settings.register_profile("mutation", max_examples=30, deadline=None, derandomize=True, database=None)
