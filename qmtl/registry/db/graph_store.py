"""Port of the graph of everything that is registered, and of what is active."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from qmtl.models.strategy import (
    Deployment,
    Lineage,
    NodeView,
    SourceView,
    StrategySummary,
    StrategyVersion,
    VersionSummary,
)

Direction = Literal["upstream", "downstream"]


class GraphStore(Protocol):
    """The truth for registrations and deployments.

    Every method is atomic: it happens wholly or not at all. Every method may raise ``Unavailable``
    after a bounded number of attempts. Nothing of one tenant is ever shown to another. Lists are
    ordered by their key and start behind ``after`` (exclusive; empty for the beginning).
    """

    def prepare(self) -> None:
        """Make the constraints and indexes. Idempotent, safe from several processes at once."""

    def ping(self) -> None:
        """Return once the server answered a query."""

    def add_version(self, version: StrategyVersion, bindings: Sequence[str]) -> bool:
        """Register a version with these bindings, their ancestors being among them.

        Idempotent: registering the same again changes nothing, registering further bindings of a
        version adds them, and ``complete`` never goes back to False. Registrations of overlapping
        graphs may run at once, from any number of processes; all succeed. What is kept as
        ``created_at_ms`` is later than that of every earlier version of the strategy, so that
        versions have one order even where clocks do not.

        Returns:
            True where the version was not there before.

        Raises:
            SourceConflict: A source is known to the tenant with another interval or stamp.
        """

    def get_version(self, tenant: str, strategy: str, version: str) -> StrategyVersion:
        """Return a version with its source text.

        Raises:
            UnknownStrategy: No version of the strategy was ever registered.
            UnknownVersion: The strategy has no such version.
        """

    def list_strategies(self, tenant: str, *, after: str, limit: int) -> list[StrategySummary]:
        """Return strategies by name."""

    def list_versions(
        self, tenant: str, strategy: str, *, before_ms: int | None, limit: int
    ) -> list[VersionSummary]:
        """Return versions, newest first, registered before a time.

        Raises:
            UnknownStrategy: No version of the strategy was ever registered.
        """

    def deployments(self, tenant: str, strategy: str) -> list[Deployment]:
        """Return the strategy's deployments that have an active version, by environment."""

    def active_in(self, tenant: str, environment: str) -> list[Deployment]:
        """Return the deployments of an environment that have an active version, by strategy."""

    def all_deployments(self) -> list[Deployment]:
        """Return every deployment of every tenant, to repair copies of them.

        One that was ended is among them, with None for its version: a copy may still call it
        active.
        """

    def set_deployment(self, change: Deployment, *, expected: str | None) -> Deployment:
        """Change which version is active (None for none) where ``expected`` is active now.

        A compare-and-set on the version: of several callers that expect the same, one wins. The
        change is appended to the deployment's history, its ``since_ms`` moved on where needed to
        be later than that of the change before. Setting what is active already, with
        its start or none, returns the deployment as it stands and adds nothing, whatever was
        expected. A change whose
        ``operation`` stands in the history was made before: what it made then is returned and
        nothing changes, whatever came after it.

        Raises:
            DeploymentConflict: Another version is active than ``expected``.
            UnknownStrategy: No version of the strategy was ever registered.
            UnknownVersion: The strategy has no such version.
        """

    def activations(self, tenant: str, strategy: str, environment: str) -> list[Deployment]:
        """Return the history of a deployment, newest first."""

    def get_node(self, tenant: str, node_id: str) -> NodeView:
        """Return a node and its bindings.

        Raises:
            UnknownNode: No binding of the tenant names it.
        """

    def list_nodes(
        self, tenant: str, *, after: str, limit: int, tag: str | None = None
    ) -> list[NodeView]:
        """Return nodes by id, all or those that bear a tag (upper case)."""

    def lineage(self, tenant: str, node_id: str, *, direction: Direction, depth: int) -> Lineage:
        """Return what a node rests on (upstream) or what rests on it, up to ``depth`` edges.

        Raises:
            UnknownNode: No binding of the tenant names it.
        """

    def get_source(self, tenant: str, name: str) -> SourceView:
        """Return a source.

        Raises:
            UnknownSource: No registered version of the tenant declares it.
        """

    def list_sources(self, tenant: str, *, after: str, limit: int) -> list[SourceView]:
        """Return sources by name."""
