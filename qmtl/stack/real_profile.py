"""The real profile: Redis from the system, Neo4j Community and Apache Kafka from their jars."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from qmtl.common.db.ping import ping as ping_graph
from qmtl.common.errors import Unavailable
from qmtl.common.kafka.ping import ping as ping_kafka
from qmtl.stack.server import ServerPlan
from qmtl.stack.state import write_private

FILES = Path(__file__).parent / "real"
KAFKA_POM = FILES / "pom-kafka.xml"
NEO4J_POM = FILES / "pom-neo4j.xml"
NEO4J_MAIN = FILES / "Neo4jServer.java"
NEO4J_USER = "neo4j"  # Community has this one database and first user
NEO4J_OPENS = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")


def _java(java: Path, tmp: Path) -> list[str]:
    return [
        str(java),
        "-Xmx512m",
        # On a machine that also runs the workers, a quick start is worth more than peak speed.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",  # it would be a file outside the data folder
        f"-Djava.io.tmpdir={tmp}",
    ]


def neo4j_plan(
    java: Path, library: Path, cwd: Path, port: int, password: str, tmp: Path
) -> ServerPlan:
    """Plan Neo4j Community: its documented embedded API with the Bolt connector."""
    conf, secret = cwd / "neo4j.conf", cwd / "neo4j.password"
    url = f"bolt://127.0.0.1:{port}"
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in NEO4J_OPENS]

    def prepare() -> None:
        write_private(secret, password)
        write_private(conf, neo4j_conf(port))

    return ServerPlan(
        name="graph",
        product="Neo4j",
        ports={"main": port},
        command=(
            *_java(java, tmp),
            *opens,
            "-cp",
            f"{library}/*",
            str(NEO4J_MAIN),
            *map(str, (cwd, conf, secret)),
        ),
        cwd=cwd,
        settings={
            "QMTL_GRAPH_URL": url,
            "QMTL_GRAPH_USER": NEO4J_USER,
            "QMTL_GRAPH_PASSWORD": password,
            "QMTL_GRAPH_DATABASE": NEO4J_USER,
        },
        ping=lambda timeout_s: ping_graph(url, NEO4J_USER, password, NEO4J_USER, timeout_s),
        prepare=prepare,
        start_s=180.0,
        stop_s=20.0,
    )


def neo4j_conf(port: int) -> str:
    """Return the configuration file's text."""
    lines = [
        "server.bolt.enabled=true",
        f"server.bolt.listen_address=127.0.0.1:{port}",
        f"server.bolt.advertised_address=127.0.0.1:{port}",
        "server.memory.pagecache.size=64m",
        "dbms.security.auth_enabled=true",  # the embedded API turns it off otherwise
        "dbms.usage_report.enabled=false",
        # Otherwise each of the two connectors waits five quiet seconds before it stops.
        "internal.dbms.bolt.netty_server_shutdown_quiet_period=0",
    ]
    return "\n".join(lines) + "\n"


def kafka_plan(
    java: Path, library: Path, cwd: Path, port: int, controller_port: int, tmp: Path
) -> ServerPlan:
    """Plan Apache Kafka as one KRaft process, broker and controller in one."""
    conf = cwd / "server.properties"
    address = f"127.0.0.1:{port}"
    run = [*_java(java, tmp), "-cp", f"{library}/*"]

    def prepare() -> None:
        write_private(conf, kafka_properties(cwd / "data", port, controller_port))
        if not (cwd / "data" / "meta.properties").exists():
            _format(run, conf, cwd)

    return ServerPlan(
        name="kafka",
        product="Apache Kafka",
        ports={"main": port, "controller": controller_port},
        command=(*run, "kafka.Kafka", str(conf)),
        cwd=cwd,
        settings={"QMTL_KAFKA_SERVERS": address},
        ping=lambda timeout_s: ping_kafka(address, timeout_s),
        prepare=prepare,
        start_s=180.0,
        stop_s=20.0,
    )


def _format(run: list[str], conf: Path, cwd: Path) -> None:
    cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
    command = [*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(conf)]
    done = subprocess.run(  # noqa: S603 - the command is ours
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise Unavailable(
            "kafka", "Kafka's storage could not be made.", hint=(done.stdout + done.stderr)[-2000:]
        )


def kafka_properties(data: Path, port: int, controller_port: int) -> str:
    """Return the configuration file's text."""
    ones = (
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
    )
    lines = [
        "process.roles=broker,controller",
        "node.id=1",
        f"controller.quorum.voters=1@127.0.0.1:{controller_port}",
        f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names=CONTROLLER",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name=PLAINTEXT",
        f"log.dirs={data}",
        "group.initial.rebalance.delay.ms=0",
        # A broker that was killed may register again once its former session ran out.
        "broker.session.timeout.ms=3000",
        "broker.heartbeat.interval.ms=500",
        "auto.create.topics.enable=false",
        *(f"{name}=1" for name in ones),
    ]
    return "\n".join(lines) + "\n"
