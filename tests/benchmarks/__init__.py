"""How fast it is, side by side with a bare httpx loop and with the floor: `python -m tests.benchmarks`."""
