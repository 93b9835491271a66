"""The registry over memory stores: what its callers get."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from qmtl.common.errors import (
    DeploymentConflict,
    IncompleteVersion,
    InvalidPoint,
    InvalidRequest,
    NotActive,
    SourceConflict,
    Unavailable,
    UnknownNode,
    UnknownSource,
    UnknownStrategy,
    UnknownTarget,
    UnknownVersion,
)
from qmtl.graph.identity import strategy_version
from qmtl.models.strategy import Deployment, StrategySpec, StrategyVersion
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from tests.support.registry import DAY_NS, id_of, make_node, make_source, make_spec

T = "acme"
CROSSOVER = make_spec(
    "crossover",
    [
        make_node("fast", sources=["prices"]),
        make_node("slow", sources=["prices"]),
        make_node("signal", reads=["fast", "slow"]),
    ],
    [make_source("prices")],
)


class FrailStateStore(MemoryStateStore):
    """Keeps no copy while it is down."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    def put_version(self, version: StrategyVersion) -> None:
        self._check()
        super().put_version(version)

    def put_deployment(self, deployment: Deployment) -> None:
        self._check()
        super().put_deployment(deployment)

    def ping(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.down:
            raise Unavailable("redis", "Redis cannot be reached.")


@dataclass
class House:
    graph: MemoryGraphStore = field(default_factory=MemoryGraphStore)
    state: FrailStateStore = field(default_factory=FrailStateStore)
    points: MemoryPointStore = field(default_factory=MemoryPointStore)

    @property
    def registry(self) -> Registry:
        return Registry(self.graph, self.state, self.points)

    def register(
        self, text: str = "v1", *, spec: StrategySpec = CROSSOVER, at_ms: int = 1_000
    ) -> StrategyVersion:
        version, _ = self.registry.register_strategy(
            T, by="alice", source_text=text, spec=spec, at_ms=at_ms
        )
        return version

    def register_node(self, binding: str, text: str = "v1") -> str:
        view = self.registry.register_node(
            T, by="alice", source_text=text, spec=CROSSOVER, binding=binding, at_ms=1_000
        )
        return view.node_id

    def activate(
        self, version: str | None = None, *, expected: str | None = None, at_ms: int = 5_000
    ) -> Deployment:
        return self.registry.activate_strategy(
            T,
            "crossover",
            "production",
            version=version,
            expected=expected,
            by="bob",
            at_ms=at_ms,
        )

    def deactivate(self, *, expected: str | None = None) -> Deployment:
        return self.registry.deactivate_strategy(
            T, "crossover", "production", expected=expected, by="bob", at_ms=9_000
        )


@pytest.fixture
def house() -> House:
    return House()


class TestRegistering:
    def test_the_same_text_is_the_same_version(self, house: House) -> None:
        register = house.registry.register_strategy
        first = register(T, by="alice", source_text="text", spec=CROSSOVER, at_ms=1_000)
        again = register(T, by="bob", source_text="text", spec=CROSSOVER, at_ms=2_000)
        other = register(T, by="bob", source_text="text ", spec=CROSSOVER, at_ms=3_000)

        assert first[1] is True
        assert again == (first[0], False)
        assert other[1] is True
        assert other[0].version != first[0].version

    def test_the_version_is_known_beforehand(self, house: House) -> None:
        version = house.register("text")

        assert version.version == strategy_version("crossover", "text")
        assert version.version != strategy_version("crosso", "vertext")
        assert len(version.version) == len(version.source_digest) == 32

    def test_both_graph_and_copy_have_it(self, house: House) -> None:
        version = house.register()

        assert house.graph.get_version(T, "crossover", version.version) == version
        assert house.state.get_version(T, "crossover", version.version) == version

    def test_a_registration_stands_without_its_copy_which_reading_repairs(
        self, house: House
    ) -> None:
        house.state.down = True
        version = house.register()
        house.state.down = False

        assert house.state.get_version(T, "crossover", version.version) is None
        assert house.registry.get_nodes(T, "crossover", version.version) == version
        assert house.state.get_version(T, "crossover", version.version) == version

    def test_a_conflicting_source_leaves_no_copy(self, house: House) -> None:
        house.register()
        hourly = make_source("prices", interval_ns=DAY_NS // 24)
        spec = make_spec("late", [make_node("n", sources=["prices"])], [hourly])

        with pytest.raises(SourceConflict):
            house.register("late", spec=spec)
        version = strategy_version("late", "late")
        assert house.state.get_version(T, "late", version) is None

    def test_unknown_versions_are_told_apart_from_unknown_strategies(self, house: House) -> None:
        with pytest.raises(UnknownStrategy):
            house.registry.get_nodes(T, "crossover", "0" * 32)
        house.register()
        with pytest.raises(UnknownVersion):
            house.registry.get_nodes(T, "crossover", "0" * 32)


class TestSingleNodes:
    def test_a_node_comes_with_what_it_rests_on_and_nothing_else(self, house: House) -> None:
        assert house.register_node("fast") == id_of("fast")

        assert [n.node_id for n in house.registry.list_nodes(T, after="", limit=9)] == [
            id_of("fast")
        ]
        house.register_node("signal")
        assert len(house.registry.list_nodes(T, after="", limit=9)) == 3

    def test_an_unknown_binding_is_refused_with_those_there_are(self, house: House) -> None:
        with pytest.raises(UnknownTarget, match="fast, slow, signal"):
            house.register_node("quick")
        with pytest.raises(UnknownNode):
            house.registry.get_node(T, id_of("fast"))

    def test_a_version_of_single_nodes_cannot_be_activated(self, house: House) -> None:
        house.register_node("signal")

        with pytest.raises(IncompleteVersion):
            house.activate()
        with pytest.raises(IncompleteVersion):
            house.activate(strategy_version("crossover", "v1"))

    def test_submitting_the_whole_completes_it_even_where_the_copy_lagged(
        self, house: House
    ) -> None:
        house.register_node("fast")
        house.state.down = True
        version = house.register()
        house.state.down = False

        assert house.registry.get_nodes(T, "crossover", version.version).complete
        assert house.activate(version.version).version == version.version

    def test_without_a_version_the_newest_complete_one_is_chosen(self, house: House) -> None:
        whole = house.register("v1", at_ms=1_000)
        house.register_node("fast", "v2")

        assert house.activate().version == whole.version


class TestActivating:
    def test_what_is_active_can_be_read_back(self, house: House) -> None:
        version = house.register()
        made = house.activate()
        registry = house.registry

        assert made.since_ms == 5_000
        assert registry.deployment(T, "crossover", "production") == made
        assert registry.active_version(T, "crossover", "production") == version
        assert registry.deployments(T, "crossover") == [made]
        assert registry.activations(T, "crossover", "production") == [made]
        assert registry.deployment(T, "crossover", "staging") is None

    def test_the_caller_may_say_what_it_believes_active(self, house: House) -> None:
        one, two = house.register("v1"), house.register("v2")

        house.activate(one.version, expected="")
        with pytest.raises(DeploymentConflict):
            house.activate(two.version, expected="")
        assert house.activate(two.version, expected=one.version).version == two.version

    def test_nothing_active_says_how_to_go_on(self, house: House) -> None:
        with pytest.raises(UnknownStrategy):
            house.registry.active_version(T, "crossover", "production")
        house.register()
        with pytest.raises(NotActive, match="qmtl activate crossover --environment production"):
            house.registry.active_version(T, "crossover", "production")

    def test_an_unknown_environment_is_refused(self, house: House) -> None:
        house.register()
        with pytest.raises(InvalidRequest, match="development, staging, production"):
            house.registry.active_version(T, "crossover", "moon")
        with pytest.raises(InvalidRequest):
            house.registry.activations(T, "crossover", "moon")

    def test_deactivating_leaves_nothing_active(self, house: House) -> None:
        version = house.register()
        with pytest.raises(NotActive):
            house.deactivate()
        house.activate()

        with pytest.raises(DeploymentConflict):
            house.deactivate(expected="0" * 32)
        off = house.deactivate(expected=version.version)

        assert (off.version, off.since_ms) == (None, 9_000)
        assert house.registry.deployment(T, "crossover", "production") is None
        with pytest.raises(NotActive):
            house.registry.active_version(T, "crossover", "production")

    def test_a_lost_copy_is_repaired_on_reading(self, house: House) -> None:
        house.register()
        made = house.activate()
        fresh = Registry(house.graph, MemoryStateStore(), house.points)

        assert fresh.deployment(T, "crossover", "production") == made

    def test_an_activation_whose_copy_failed_is_made_good_by_the_same_call(
        self, house: House
    ) -> None:
        one, two = house.register("v1"), house.register("v2")
        house.activate(one.version)
        house.state.down = True
        with pytest.raises(Unavailable):
            house.activate(two.version, expected=one.version)
        house.state.down = False

        house.activate(two.version, expected=one.version)

        assert house.registry.active_version(T, "crossover", "production") == two
        assert len(house.registry.activations(T, "crossover", "production")) == 2

    def test_repair_brings_copies_up_to_the_graph_ended_ones_too(self, house: House) -> None:
        house.register()
        house.activate()
        house.state.down = True
        with pytest.raises(Unavailable):
            house.deactivate()
        house.state.down = False
        stale = house.registry.deployment(T, "crossover", "production")
        assert stale is not None

        assert house.registry.repair_copies() == 1

        assert house.registry.deployment(T, "crossover", "production") is None


class TestSources:
    def test_points_are_read_in_the_columns_that_strategies_declare(self, house: House) -> None:
        house.register()
        with_volume = make_source("prices", columns=["close", "volume"])
        spec = make_spec("other", [make_node("n", sources=["prices"])], [with_volume])
        house.register("other", spec=spec, at_ms=2_000)
        registry = house.registry

        rows = [{"ts": "1970-01-02", "close": 1.0, "volume": None}]
        assert registry.append_rows(T, "prices", rows).added == 1
        text = "ts,volume,close\n1970-01-02,,1\n1970-01-03,5,2\n"
        made = registry.append_csv(T, "prices", text)

        assert (made.revision, made.added, made.unchanged) == (2, 1, 1)
        view, summary = registry.get_source(T, "prices")
        assert view.columns == ("close", "volume")
        assert (summary.count, summary.revision) == (2, 2)
        assert registry.list_sources(T, after="", limit=9) == [(view, summary)]

    def test_a_bad_row_adds_nothing(self, house: House) -> None:
        house.register()
        rows = [{"ts": "1970-01-02", "close": 1.0}, {"ts": "1970-01-03", "close": "x"}]

        with pytest.raises(InvalidPoint, match="Row 2"):
            house.registry.append_rows(T, "prices", rows)
        assert house.registry.get_source(T, "prices")[1].count == 0

    def test_a_source_that_nobody_declares_takes_nothing(self, house: House) -> None:
        with pytest.raises(UnknownSource):
            house.registry.append_rows(T, "prices", [])
        with pytest.raises(UnknownSource):
            house.registry.append_csv(T, "prices", "ts,close\n")


class TestLineageAndHealth:
    def test_lineage_needs_a_sane_depth(self, house: House) -> None:
        house.register()
        read = house.registry.lineage

        assert len(read(T, id_of("signal"), direction="upstream", depth=1).items) == 2
        for depth in (0, -1, 10**9):
            with pytest.raises(InvalidRequest):
                read(T, id_of("signal"), direction="upstream", depth=depth)

    def test_ping_names_what_is_wrong(self, house: House) -> None:
        assert house.registry.ping() == {"graph": None, "state": None}
        house.state.down = True
        assert house.registry.ping() == {"graph": None, "state": "Redis cannot be reached."}
