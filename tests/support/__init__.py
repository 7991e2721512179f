"""What tests share: worlds, servers, clocks and helpers."""
