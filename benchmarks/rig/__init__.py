"""What the scheduler's benchmark stands on: a strict server, peers in environments of their own, reports."""
