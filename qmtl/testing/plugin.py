"""The pytest plugin: the fixture ``pipeline``.

pytest imports this module at every start, so it imports nothing of QMTL until the fixture is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qmtl.sdk.pipeline import Pipeline


class PipelineLoader:
    """Reads strategies by path, as seen from the file of the test."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def __call__(self, path: str | Path) -> Pipeline:
        """Return a new pipeline of the strategy in a file.

        Args:
            path: Absolute, or relative to the folder of the test's file, else to pytest's root.

        Raises:
            DataError: There is no such file.
            StrategyRejected: It is no strategy; ``problems`` lists everything that must change.
        """
        from qmtl.sdk.pipeline import Pipeline  # noqa: PLC0415 - paid for by those who use it

        places = [folder / path for folder in self._folders]
        return Pipeline.from_file(next((p for p in places if p.is_file()), places[0]))


@pytest.fixture
def pipeline(request: pytest.FixtureRequest) -> PipelineLoader:
    """Load a strategy: ``pipeline("strategy.py")``, relative to the file of the test."""
    return PipelineLoader(request.path.parent, request.config.rootpath)
