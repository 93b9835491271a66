"""``assert_node``: run one node on small data and compare what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qmtl.testing.compared import Tolerance, first_difference

if TYPE_CHECKING:
    from qmtl.sdk.data import Data
    from qmtl.sdk.pipeline import Pipeline
    from qmtl.sdk.results import Result
    from qmtl.sdk.times import AsOf


def assert_node(
    pipeline: Pipeline,
    node: str,
    *,
    inputs: Mapping[str, Data] | None = None,
    expected: object,
    as_of: AsOf | None = None,
    rel: float = 1e-9,
    abs: float = 1e-12,  # noqa: A002 - the word that pytest.approx and math.isclose taught
) -> Any:
    """Run a node with what it rests on, and compare its value with the expected one.

    Numbers are equal within the tolerance, an int and a float too; NaN equals NaN. Of pandas
    objects index, names and values are compared; a list stands for a Series or an array of those
    values, whatever its index. Everything else is equal by ``==`` and of the same type.

    Args:
        pipeline: The strategy.
        node: A binding, such as ``"sma[50]"``.
        inputs: Data by the source's variable, as ``Pipeline.execute`` takes it.
        expected: The value.
        as_of: The time of the run; default: when the last point of the data is known.
        rel: Relative tolerance.
        abs: Absolute tolerance.

    Returns:
        The value, for more assertions.

    Raises:
        AssertionError: The node has no result, or another value; where they part is told.
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not ours
    result = pipeline.execute(inputs, as_of=as_of, targets=[node])[node]
    if not result.state.has_result:
        raise AssertionError(_without_result(result))
    difference = first_difference(result.value, expected, Tolerance(rel, abs))
    if difference is not None:
        raise AssertionError(f"{node} has another value: {difference}")
    return result.value


def _without_result(result: Result) -> str:
    lines = [f"{result.name} has no result: it is {result.state}"]
    if result.error is not None:
        lines += [f"{result.error.message}", result.error.traceback]
    if result.logs:
        lines.append(f"It printed:\n{result.logs}")
    return "\n".join(line for line in lines if line)
