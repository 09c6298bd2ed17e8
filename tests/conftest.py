"""What is collected stays until the end, so no garbage is looked for in it; and every failed run says what to do."""

import gc
import subprocess
from typing import Any

from tests.advice import assert_advice

gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


_communicate = subprocess.Popen.communicate


def _checked(self: subprocess.Popen[Any], *given: Any, **more: Any) -> tuple[Any, Any]:
    """Read what a process prints; if it is a failed command line, check its message."""
    output, errors = _communicate(self, *given, **more)
    if isinstance(errors, str) and isinstance(self.args, list | tuple) and "jitsu_backup" in self.args:
        assert_advice(self.args, self.returncode, errors, output if isinstance(output, str) else "")
    return output, errors


subprocess.Popen.communicate = _checked  # type: ignore[method-assign]  so do all tests that start one themselves
