"""What a broker's answers mean to callers."""

import pytest
from kafka.errors import (
    BrokerNotAvailableError,
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
)

from qmtl.common.errors import Refused, Unavailable
from qmtl.common.kafka.connection import translated


@pytest.mark.parametrize(
    "error",
    [
        TopicAuthorizationFailedError,
        ClusterAuthorizationFailedError,
        InvalidTopicError,
        MessageSizeTooLargeError,
    ],
)
def test_what_another_attempt_cannot_mend_is_refused(error: type[KafkaError]) -> None:
    with pytest.raises(Refused), translated():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        BrokerNotAvailableError,
        KafkaTimeoutError,
        NotLeaderForPartitionError,
        SaslAuthenticationFailedError,  # of the whole broker, until somebody mends the settings
    ],
)
def test_what_may_work_later_is_unavailable(error: type[KafkaError]) -> None:
    with pytest.raises(Unavailable), translated():
        raise error
