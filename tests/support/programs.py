"""The programs and commands in Markdown pages."""

import re

__all__ = ["blocks"]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
