"""What is loaded and collected stays until the end: looking through it for garbage, again and again, finds none."""

import gc

gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
