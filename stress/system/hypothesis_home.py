"""Keep Hypothesis, run inside a command, from leaving files in the user's folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def no_hypothesis_folder() -> Iterator[None]:
    """Let Hypothesis put what it notes for itself in a folder that goes away, not into the user's.

    It makes `.hypothesis` in the current folder even when it is to keep no examples.
    """
    from hypothesis import configuration

    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)
