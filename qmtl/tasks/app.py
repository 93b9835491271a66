"""The Celery application: what is sent where, and how it survives a worker's death.

Only ids travel. A task never raises and never returns a value that is read: the ledger knows what
is done. Every setting that is not Celery's default has its reason beside it.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Queue

from qmtl.common.settings import Settings
from qmtl.models.execution import Priority
from qmtl.tasks import transport

CONTROL, NODES, MIRROR = "control", "nodes", "mirror"
COUNTER = "qmtl.tasks.chord_counter:ChordCounter"
CONSUMER = "qmtl.tasks.consumer:BatchingConsumer"
DAY_S = 86_400
SOFT_SHUTDOWN_S = 3.0  # less than the supervisor waits before it kills
PERIODIC_EXPIRY_S = 30.0  # so that a look of the reaper outlives a slow submission before it
MIRROR_EVERY_S = 5.0
FORGET_EVERY_S = 10.0

# Redis has a list for each, and takes from the first that has a message; 0 comes first. One more
# is added for an execution that has not begun: what has begun ends before anything new begins.
PRIORITIES = {Priority.HIGH: 0, Priority.NORMAL: 2, Priority.LOW: 4}
BEGINNING = 1
REAPING = 0  # a look waits for one submission at most, not for all that were made before it

ROUTES = {
    "qmtl.control.*": {"queue": CONTROL},
    "qmtl.nodes.*": {"queue": NODES},
    "qmtl.mirror.*": {"queue": MIRROR},
}


def configuration(settings: Settings) -> dict[str, Any]:
    """Return Celery's configuration for these settings."""
    return {
        "broker_url": settings.broker_url,
        "result_backend": f"{COUNTER}+{settings.broker_url}",
        "include": [
            "qmtl.tasks.control",
            "qmtl.tasks.nodes",
            "qmtl.tasks.mirror",
            "qmtl.tasks.presence",
        ],
        # Only ids travel, and nothing is ever unpickled.
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "task_queues": [Queue(q) for q in (CONTROL, NODES, MIRROR)],
        "task_routes": ROUTES,
        "task_default_queue": CONTROL,
        # The ledger is the truth; of results a chord alone needs one counter.
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "result_expires": DAY_S,
        # A message is acknowledged once its work is committed: a child that dies gives it back.
        # What a whole worker had taken goes with it, and the reaper sends it again within seconds.
        # Copies in Redis would cost two round trips a message, and not come back before the longest
        # shard there may be has ended.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_default_priority": PRIORITIES[Priority.NORMAL],
        "broker_transport_options": {
            "ack_emulation": False,
            "priority_steps": list(range(6)),
            "queue_order_strategy": "priority",
            "global_keyprefix": f"{{{settings.cell}}}:",
            "socket_keepalive": True,
        },
        "result_backend_transport_options": {"global_keyprefix": f"{{{settings.cell}}}:"},
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # True was seen to lose running tasks when the broker restarts.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_S,
        "worker_enable_soft_shutdown_on_idle": False,
        # Flower shows what workers tell it, a little later and at a third of the price.
        "worker_consumer": CONSUMER,
        "worker_send_task_events": True,
        "task_send_sent_event": False,  # it costs every trigger a third more; workers tell the rest
        "worker_hijack_root_logger": False,
        "beat_schedule": _schedule(settings),
        "timezone": "UTC",
        "enable_utc": True,
    }


def _schedule(settings: Settings) -> dict[str, Any]:
    return {
        "reap": {
            "task": "qmtl.control.reap",
            "schedule": settings.reap_interval_s,
            "options": {"expires": PERIODIC_EXPIRY_S, "priority": REAPING},
        },
        "repair": {
            "task": "qmtl.control.repair",
            "schedule": 60.0,
            "options": {"expires": 60.0},
        },
        "forget": {
            "task": "qmtl.control.forget",
            "schedule": FORGET_EVERY_S,
            "options": {"expires": FORGET_EVERY_S},
        },
        "mirror": {
            "task": "qmtl.mirror.store_results",
            "schedule": MIRROR_EVERY_S,
            "options": {"expires": MIRROR_EVERY_S},
        },
    }


def make_app(settings: Settings) -> Celery:
    """Return an application for these settings; it connects when it is first used."""
    transport.install()
    app = Celery("qmtl")
    app.config_from_object(configuration(settings))
    return app


app = make_app(Settings.from_env())
