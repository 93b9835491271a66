"""Jars from Maven Central, fetched once into the cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from qmtl.common.errors import Unavailable
from qmtl.stack.packages import cache_folder, locked

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
FETCH_TIMEOUT_S = 900.0
JAVA_MAJORS = (17, 21)  # what Neo4j 5 supports
DEBIAN_PACKAGES = {
    "java": "openjdk-17-jdk-headless",
    "mvn": "maven",
    "redis-server": "redis-server",
}
HOMEBREW_PACKAGES = {"java": "openjdk@17", "mvn": "maven", "redis-server": "redis"}


def find_programs() -> dict[str, Path]:
    """Return where ``java``, ``mvn`` and ``redis-server`` are.

    Raises:
        Unavailable: Some are missing, or Java is not a JDK of a version that Neo4j runs on; the
            hint is the command that installs what is missing.
    """
    found = {name: shutil.which(name) for name in DEBIAN_PACKAGES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise Unavailable(
            "stack", f"The real profile needs {', '.join(missing)}.", hint=_install(missing)
        )
    programs = {name: Path(path) for name, path in found.items() if path is not None}
    _check_java(programs["java"])
    return programs


def _install(names: list[str]) -> str:
    if sys.platform == "darwin":
        return f"Install with: brew install {' '.join(HOMEBREW_PACKAGES[n] for n in names)}"
    return f"Install with: apt-get install {' '.join(DEBIAN_PACKAGES[n] for n in names)}"


def _check_java(java: Path) -> None:
    asked = subprocess.run(  # noqa: S603 - found by shutil.which
        [java, "--list-modules"], capture_output=True, text=True, check=False, timeout=60
    )
    compiler = re.search(r"^jdk\.compiler@(\d+)", asked.stdout, re.MULTILINE)
    major = int(compiler[1]) if compiler else None
    if major not in JAVA_MAJORS:
        found = f"{java} is Java {major}" if major else f"{java} is no JDK"
        raise Unavailable(
            "stack", f"The real profile needs a JDK 17 or 21; {found}.", hint=_install(["java"])
        )


def library(pom: Path, on_progress: Callable[[str], None]) -> Path:
    """Return the folder of a pom's jars, fetching them where they are not in the cache.

    The folder's name bears the pom's digest, so that another version is another folder. It
    appears whole or not at all, and two processes do not fetch at once.

    Raises:
        Unavailable: Maven could not fetch them.
    """
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    name = pom.stem.removeprefix("pom-")
    folder = cache_folder() / f"{name}-{digest}"
    return fetched_once(folder, lambda target: _fetch(pom, target, on_progress))


def fetched_once(folder: Path, fetch: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, made by ``fetch`` into an empty one and then renamed."""
    if folder.is_dir():
        return folder
    with locked(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return folder
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            target = Path(temporary) / "content"
            target.mkdir()
            fetch(target)
            target.rename(folder)
    return folder


def _fetch(pom: Path, target: Path, on_progress: Callable[[str], None]) -> None:
    on_progress(f"fetching {pom.stem.removeprefix('pom-')} from Maven Central (once)")
    mvn = find_programs()["mvn"]
    repository = target.parent / "repository"  # not ~/.m2: nothing stays outside the cache
    command = [
        str(mvn),
        "-q",
        "-B",
        f"-Dmaven.repo.local={repository}",
        "-f",
        str(pom),
        COPY,
        f"-DoutputDirectory={target}",
        "-DincludeScope=runtime",
    ]
    done = subprocess.run(  # noqa: S603 - found by shutil.which
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=FETCH_TIMEOUT_S,
        # Java's performance data would be a file outside the cache.
        env=os.environ | {"MAVEN_OPTS": f"{os.environ.get('MAVEN_OPTS', '')} -XX:-UsePerfData"},
    )
    if done.returncode != 0 or not any(target.glob("*.jar")):
        lines = (done.stdout + done.stderr).strip().splitlines()[:10]
        raise Unavailable(
            "stack",
            f"Maven could not fetch the jars of {pom.name}.",
            hint="\n  ".join(["", *lines]),
        )
