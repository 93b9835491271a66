"""What a submission comes to whose worker died on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.settings import Settings
from qmtl.models.strategy import Submission, SubmissionState
from tests.support.fabric import Fabric
from tests.support.pipeline import memory, submit
from tests.support.strategies import DIAMOND

TENANT = "acme"
PLACE = (TENANT, "diamond", "development")


class Killed(BaseException):
    """The worker ended at once, as by SIGKILL."""


@pytest.fixture
def system() -> Iterator[System]:
    made = build(Settings(), Fabric(), stores=memory())
    yield made
    made.close()


def asked(system: System, operation: str, **request: Any) -> Submission:
    request |= {"strategy": "diamond", "environment": "development"}
    return system.orchestrator.submit(TENANT, operation=operation, request=request, by="me")[0]


def carried_out(system: System, submission: Submission) -> Submission:
    return system.submissions.carry_out(TENANT, submission.id, at_ms=submission.created_ms)


def killed_before_done(system: System, submission: Submission, patch: pytest.MonkeyPatch) -> None:
    """Carry a submission out with a worker that dies before it can say so."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with patch.context() as context:
        context.setattr(system.submissions, "_move", die)
        with pytest.raises(Killed):
            carried_out(system, submission)


def versions(system: System) -> tuple[str, str]:
    """Register two versions."""
    texts = (DIAMOND, DIAMOND.replace("10.0", "20.0"))
    results = [submit(system, Fabric(), TENANT, text) for text in texts]
    for each in results:
        carried_out(system, each)
    found = [system.orchestrator.get_submission(TENANT, each.id).result for each in results]
    one, two = (str(result["version"]) for result in found if result is not None)
    return one, two


def test_an_activation_that_comes_again_does_not_undo_a_later_one(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = versions(system)
    first = asked(system, "activate_strategy", version=one)
    killed_before_done(system, first, monkeypatch)
    carried_out(system, asked(system, "activate_strategy", version=two))
    ended = carried_out(system, first)
    assert ended.state is SubmissionState.DONE
    assert ended.result is not None
    assert ended.result["version"] == one, "it tells what it did"
    active = system.registry.deployment(*PLACE)
    assert active is not None
    assert active.version == two
    assert [d.version for d in system.registry.activations(*PLACE)] == [two, one]


def test_a_deactivation_that_comes_again_ends_done(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = versions(system)
    carried_out(system, asked(system, "activate_strategy", version=one))
    off = asked(system, "deactivate_strategy")
    killed_before_done(system, off, monkeypatch)
    ended = carried_out(system, off)
    assert (ended.state, ended.problem) == (SubmissionState.DONE, None)
    assert system.registry.deployment(*PLACE) is None


def test_a_copy_that_was_not_written_is_written_when_the_activation_comes_again(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = versions(system)
    carried_out(system, asked(system, "activate_strategy", version=one))
    second = asked(system, "activate_strategy", version=two)
    state = system.submissions._state

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as context:
        context.setattr(state, "put_deployment", die)
        with pytest.raises(Killed):
            carried_out(system, second)
    carried_out(system, second)
    active = system.registry.deployment(*PLACE)
    assert active is not None
    assert active.version == two
