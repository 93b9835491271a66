import pytest
import redis

from qmtl.common.errors import InvalidSetting, Unavailable
from qmtl.common.redis.connection import connect, translated

NOBODY_LISTENS = "redis://user:secret@127.0.0.1:1/0"


def test_a_client_connects_only_when_it_is_used() -> None:
    connect(NOBODY_LISTENS, timeout_s=0.2)


def test_a_server_that_is_away_is_unavailable() -> None:
    client = connect(NOBODY_LISTENS, timeout_s=0.2)
    with pytest.raises(Unavailable) as caught, translated():
        client.ping()
    assert caught.value.service == "redis"


def test_no_password_shows_in_an_error() -> None:
    with pytest.raises(Unavailable) as caught, translated():
        raise redis.ConnectionError("cannot reach redis://user:secret@host:1/0")
    assert "secret" not in str(caught.value)
    assert "host:1" in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        redis.TimeoutError("Timeout reading from socket"),
        redis.BusyLoadingError("Redis is loading the dataset in memory"),
        redis.AuthenticationError("invalid username-password pair"),
        redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
        redis.exceptions.OutOfMemoryError("command not allowed"),
        redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    ],
)
def test_a_server_in_trouble_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable), translated():
        raise error


def test_a_wrong_command_is_not_hidden_as_a_server_in_trouble() -> None:
    with pytest.raises(redis.ResponseError), translated():
        raise redis.ResponseError("WRONGTYPE Operation against a key")


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidSetting) as caught:
        connect("http://user:secret@127.0.0.1:1", timeout_s=0.2)
    assert "secret" not in str(caught.value)
