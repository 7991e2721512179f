"""The code generator: from OpenAPI documents of our own to coroutines and records.

Three steps: `load` reads and validates, `plan` decides what there will be, `emit` writes it.
Development only: it imports nothing of toggl_async, and toggl_async nothing of it.
"""
