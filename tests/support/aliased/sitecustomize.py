"""Lets httpx2 stand in for httpx, in every process that has this folder on its PYTHONPATH.

It has to happen before anything imports httpx; Python runs this module first.
"""

import httpx2

httpx2.alias_httpx()
