"""What every GraphStore promises, shown on each of its adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from msgspec.structs import replace
from neo4j.exceptions import ClientError

from qmtl.common.db.connection import connect, run_write
from qmtl.common.errors import (
    DeploymentConflict,
    QmtlError,
    SourceConflict,
    Unavailable,
    UnknownNode,
    UnknownSource,
    UnknownStrategy,
    UnknownVersion,
)
from qmtl.common.settings import Settings
from qmtl.models.strategy import Deployment, LineageEdge, NodeBinding, StrategyVersion
from qmtl.registry.db.graph_store import GraphStore
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.neo4j.graph_store import Neo4jGraphStore
from tests.support.registry import (
    DAY_NS,
    all_names,
    id_of,
    make_node,
    make_source,
    make_spec,
    make_version,
)
from tests.support.servers import unique

T = TypeVar("T")
THREADS = 8


@pytest.fixture(params=["memory", "graph"])
def store(request: pytest.FixtureRequest) -> Iterator[GraphStore]:
    if request.param == "memory":
        yield MemoryGraphStore()
        return
    settings: Settings = request.getfixturevalue("settings")
    driver = connect(
        settings.graph_url,
        settings.graph_user,
        settings.graph_password,
        timeout_s=settings.connect_timeout_s,
    )
    with driver:
        graph = Neo4jGraphStore(driver, settings.graph_database)
        graph.prepare()
        yield graph


def together(calls: Sequence[Callable[[], T]]) -> list[T | QmtlError]:
    """Start all calls at one moment; return what each returned or raised."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | QmtlError:
        barrier.wait()
        try:
            return call()
        except QmtlError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def crossover(tenant: str, *, text: str = "v1", at_ms: int = 1_000) -> StrategyVersion:
    """prices -> fast -> signal, prices -> slow -> signal."""
    spec = make_spec(
        "crossover",
        [
            make_node("fast", sources=["prices"], tags=["FEATURE"], params={"length": "10"}),
            make_node("slow", sources=["prices"], tags=["FEATURE"]),
            make_node("signal", reads=["fast", "slow"], tags=["FEATURE", "SIGNAL"]),
        ],
        [make_source("prices")],
    )
    return make_version(tenant, spec, text=text, at_ms=at_ms)


def register(store: GraphStore, version: StrategyVersion) -> StrategyVersion:
    store.add_version(version, all_names(version))
    return version


def deployment(
    version: StrategyVersion, *, active: str | None = "", at_ms: int = 5_000
) -> Deployment:
    return Deployment(
        tenant=version.tenant,
        strategy=version.strategy,
        environment="production",
        version=version.version if active == "" else active,
        since_ms=at_ms,
        by="bob",
    )


class TestRegistration:
    def test_a_version_reads_back_as_it_was_registered(
        self, store: GraphStore, tenant: str
    ) -> None:
        version = crossover(tenant)

        assert store.add_version(version, all_names(version)) is True
        assert store.get_version(tenant, "crossover", version.version) == version

    def test_registering_the_same_again_changes_nothing(
        self, store: GraphStore, tenant: str
    ) -> None:
        version = register(store, crossover(tenant))
        before = store.list_nodes(tenant, after="", limit=10)

        assert store.add_version(crossover(tenant, at_ms=9_000), all_names(version)) is False
        assert store.get_version(tenant, "crossover", version.version) == version
        assert store.list_nodes(tenant, after="", limit=10) == before
        assert [v.nodes for v in versions(store, tenant)] == [3]

    def test_a_single_node_and_then_the_whole_make_a_complete_version(
        self, store: GraphStore, tenant: str
    ) -> None:
        whole = crossover(tenant)
        part = make_version(tenant, whole.spec, complete=False)

        assert store.add_version(part, ["fast"]) is True
        assert versions(store, tenant)[0].nodes == 1
        assert store.get_version(tenant, "crossover", whole.version).complete is False
        with pytest.raises(UnknownNode):
            store.get_node(tenant, id_of("signal"))

        assert store.add_version(whole, all_names(whole)) is False
        assert versions(store, tenant)[0].nodes == 3
        assert store.get_version(tenant, "crossover", whole.version) == whole

    def test_a_complete_version_stays_complete_when_one_of_its_nodes_is_registered(
        self, store: GraphStore, tenant: str
    ) -> None:
        whole = register(store, crossover(tenant))
        store.add_version(make_version(tenant, whole.spec, complete=False), ["fast"])

        assert store.get_version(tenant, "crossover", whole.version).complete is True

    def test_equal_computations_of_two_strategies_are_one_node(
        self, store: GraphStore, tenant: str
    ) -> None:
        first = register(store, crossover(tenant))
        renamed = make_node("quick", sources=["prices"], node_id=id_of("fast"))
        other = register(
            store, make_version(tenant, make_spec("other", [renamed], [make_source("prices")]))
        )

        assert store.get_node(tenant, id_of("fast")).bindings == (
            NodeBinding(
                strategy="crossover", version=first.version, name="fast", tags=("FEATURE",)
            ),
            NodeBinding(strategy="other", version=other.version, name="quick", tags=()),
        )

    def test_two_names_of_one_computation_are_both_bound(
        self, store: GraphStore, tenant: str
    ) -> None:
        twins = [make_node("a", node_id=id_of("one")), make_node("b", node_id=id_of("one"))]
        register(store, make_version(tenant, make_spec("twins", twins)))

        assert [b.name for b in store.get_node(tenant, id_of("one")).bindings] == ["a", "b"]
        assert versions(store, tenant, "twins")[0].nodes == 2

    def test_overlapping_registrations_at_one_time_all_succeed(
        self, store: GraphStore, tenant: str
    ) -> None:
        made = [
            make_version(
                tenant,
                make_spec(
                    f"s{i}",
                    [
                        make_node("common", sources=["prices"], tags=["SHARED"]),
                        make_node("next", reads=["common"], tags=["SHARED"]),
                        make_node(f"own{i}", reads=["next"], tags=["SHARED"]),
                    ],
                    [make_source("prices")],
                ),
            )
            for i in range(THREADS)
        ]
        outcomes = together([lambda v=v: store.add_version(v, all_names(v)) for v in made])

        assert outcomes == [True] * THREADS
        nodes = store.list_nodes(tenant, after="", limit=100)
        assert len(nodes) == 2 + THREADS
        assert len({n.node_id for n in nodes}) == len(nodes)
        assert len(store.get_node(tenant, id_of("common")).bindings) == THREADS
        assert len(store.list_sources(tenant, after="", limit=100)) == 1
        below = store.lineage(tenant, id_of("common"), direction="downstream", depth=5)
        assert len(below.items) == len(below.edges) == 1 + THREADS

    def test_of_equal_registrations_at_one_time_one_is_the_new_one(
        self, store: GraphStore, tenant: str
    ) -> None:
        version = crossover(tenant)
        call = lambda: store.add_version(version, all_names(version))  # noqa: E731

        assert sorted(map(bool, together([call] * THREADS))) == [False] * (THREADS - 1) + [True]
        assert len(store.list_nodes(tenant, after="", limit=100)) == 3
        assert len(versions(store, tenant)) == 1

    def test_preparing_twice_is_fine(self, store: GraphStore) -> None:
        store.prepare()
        store.ping()


class TestSources:
    def test_a_source_shows_the_union_of_what_strategies_declare(
        self, store: GraphStore, tenant: str
    ) -> None:
        for number, columns in enumerate((["close"], ["open", "close"], ["volume"])):
            prices = make_source("prices", columns=columns)
            node = make_node("n", sources=["prices"])
            spec = make_spec(f"s{number % 2}", [node], [prices])
            register(store, make_version(tenant, spec, text=str(number), at_ms=1_000 + number))

        source = store.get_source(tenant, "prices")

        assert source.columns == ("close", "open", "volume")
        assert source.strategies == ("s0", "s1")
        assert (source.interval_ns, source.stamp) == (DAY_NS, "start")

    def test_a_source_without_an_interval_reads_back_so(
        self, store: GraphStore, tenant: str
    ) -> None:
        ticks = make_source("ticks", interval_ns=None, stamp="end")
        spec = make_spec("s", [make_node("n", sources=["ticks"])], [ticks])
        register(store, make_version(tenant, spec))
        register(store, make_version(tenant, spec, text="v2"))

        source = store.get_source(tenant, "ticks")
        assert (source.interval_ns, source.stamp) == (None, "end")

    @pytest.mark.parametrize(
        "other",
        [
            make_source("prices", interval_ns=DAY_NS // 24),
            make_source("prices", interval_ns=None),
            make_source("prices", stamp="end"),
        ],
        ids=["other interval", "no interval", "other stamp"],
    )
    def test_a_conflicting_source_leaves_nothing_half_registered(
        self, store: GraphStore, tenant: str, other: object
    ) -> None:
        register(store, crossover(tenant))
        spec = make_spec(
            "late",
            [make_node("n", sources=["prices"], tags=["LATE"]), make_node("m")],
            [make_source("fresh"), other],
        )
        version = make_version(tenant, spec)

        with pytest.raises(SourceConflict, match="'prices' is known with interval '1d'"):
            store.add_version(version, all_names(version))

        with pytest.raises(UnknownStrategy):
            store.get_version(tenant, "late", version.version)
        assert [s.name for s in store.list_strategies(tenant, after="", limit=9)] == ["crossover"]
        assert [s.name for s in store.list_sources(tenant, after="", limit=9)] == ["prices"]
        assert len(store.list_nodes(tenant, after="", limit=9)) == 3

    def test_a_strategy_may_not_contradict_itself(self, store: GraphStore, tenant: str) -> None:
        spec = make_spec(
            "s",
            [make_node("n", sources=["a", "b"])],
            [
                make_source("prices", variable="a"),
                make_source("prices", variable="b", interval_ns=None),
            ],
        )
        with pytest.raises(SourceConflict):
            store.add_version(make_version(tenant, spec), ["n"])

    def test_of_two_contradicting_first_declarations_at_one_time_one_wins(
        self, store: GraphStore, tenant: str
    ) -> None:
        made = [
            make_version(
                tenant,
                make_spec(
                    f"s{i}",
                    [make_node("n", sources=["prices"])],
                    [make_source("prices", interval_ns=(i + 1) * DAY_NS)],
                ),
            )
            for i in range(4)
        ]
        outcomes = together([lambda v=v: store.add_version(v, ["n"]) for v in made])

        assert outcomes.count(True) == 1
        assert sum(isinstance(o, SourceConflict) for o in outcomes) == 3
        assert len(store.list_strategies(tenant, after="", limit=9)) == 1

    def test_a_partial_registration_declares_only_what_its_nodes_read(
        self, store: GraphStore, tenant: str
    ) -> None:
        spec = make_spec(
            "s",
            [make_node("a", sources=["used"]), make_node("b", sources=["unused"])],
            [make_source("used"), make_source("unused")],
        )
        store.add_version(make_version(tenant, spec, complete=False), ["a"])

        assert [s.name for s in store.list_sources(tenant, after="", limit=9)] == ["used"]

    def test_sources_are_paged_by_name(self, store: GraphStore, tenant: str) -> None:
        sources = [make_source(name) for name in ("c", "a", "b")]
        nodes = [make_node("n", sources=["a", "b", "c"])]
        register(store, make_version(tenant, make_spec("s", nodes, sources)))

        assert [s.name for s in store.list_sources(tenant, after="", limit=2)] == ["a", "b"]
        assert [s.name for s in store.list_sources(tenant, after="b", limit=2)] == ["c"]


def test_a_statement_that_a_server_refuses_is_no_outage(settings: Settings) -> None:
    with (
        connect(
            settings.graph_url,
            settings.graph_user,
            settings.graph_password,
            timeout_s=settings.connect_timeout_s,
        ) as driver,
        pytest.raises(ClientError),
    ):
        run_write(driver, settings.graph_database, lambda tx: tx.run("NONSENSE").consume())


class TestDeployments:
    def test_activation_shows_in_deployments_and_summary(
        self, store: GraphStore, tenant: str
    ) -> None:
        version = register(store, crossover(tenant))

        made = store.set_deployment(deployment(version), expected=None)

        assert made == deployment(version)
        assert store.deployments(tenant, "crossover") == [made]
        assert made in store.all_deployments()
        assert store.active_in(tenant, "production") == [made]
        assert store.active_in(tenant, "staging") == []
        summary = store.list_strategies(tenant, after="", limit=9)[0]
        assert summary.active == {"production": version.version}

    def test_history_is_kept_newest_first_with_strictly_later_times(
        self, store: GraphStore, tenant: str
    ) -> None:
        one = register(store, crossover(tenant))
        two = register(store, crossover(tenant, text="v2"))
        store.set_deployment(deployment(one, at_ms=5_000), expected=None)
        store.set_deployment(deployment(two, at_ms=5_000), expected=one.version)
        off = store.set_deployment(deployment(two, active=None), expected=two.version)

        history = store.activations(tenant, "crossover", "production")

        assert [d.version for d in history] == [None, two.version, one.version]
        assert [d.since_ms for d in history] == [5_002, 5_001, 5_000]
        assert history[0] == off
        assert store.deployments(tenant, "crossover") == []
        assert store.active_in(tenant, "production") == []
        assert [d for d in store.all_deployments() if d.tenant == tenant] == [off]
        assert store.activations(tenant, "crossover", "staging") == []

    def test_a_start_is_kept_and_another_one_is_a_change(
        self, store: GraphStore, tenant: str
    ) -> None:
        version = register(store, crossover(tenant))
        starts = [replace(deployment(version), start_ns=start) for start in (None, 2**62, 7)]
        active: str | None = None
        for start in starts:
            made = store.set_deployment(start, expected=active)
            assert made.start_ns == start.start_ns
            active = version.version
        assert store.set_deployment(deployment(version), expected=active) == made, "as it is"
        history = store.activations(tenant, "crossover", "production")
        assert [each.start_ns for each in history] == [7, 2**62, None]
        assert store.deployments(tenant, "crossover") == history[:1]

    def test_setting_what_is_active_adds_nothing(self, store: GraphStore, tenant: str) -> None:
        version = register(store, crossover(tenant))
        made = store.set_deployment(deployment(version), expected=None)

        again = store.set_deployment(deployment(version, at_ms=9_000), expected=None)

        assert again == made
        assert len(store.activations(tenant, "crossover", "production")) == 1

    def test_an_operation_that_comes_again_changes_nothing_whatever_came_after_it(
        self, store: GraphStore, tenant: str
    ) -> None:
        one = register(store, crossover(tenant))
        two = register(store, crossover(tenant, text="v2"))
        first = replace(deployment(one), operation="first")
        off = replace(deployment(one, active=None), operation="off")
        made = store.set_deployment(first, expected=None)
        ended = store.set_deployment(off, expected=one.version)
        last = store.set_deployment(deployment(two), expected=None)

        assert store.set_deployment(first, expected=two.version) == made == first
        assert store.set_deployment(off, expected=two.version) == ended

        assert store.deployments(tenant, "crossover") == [last]
        history = store.activations(tenant, "crossover", "production")
        assert [d.operation for d in history] == [None, "off", "first"]

    def test_the_operation_of_another_environment_or_tenant_is_another_one(
        self, store: GraphStore, tenant: str
    ) -> None:
        version = register(store, crossover(tenant))
        other = register(store, crossover(unique("tenant")))
        changes = [
            replace(deployment(version), operation="o"),
            replace(deployment(version), operation="o", environment="staging"),
            replace(deployment(other), operation="o"),
        ]
        assert [store.set_deployment(c, expected=None) for c in changes] == changes

    def test_another_active_version_than_expected_is_a_conflict(
        self, store: GraphStore, tenant: str
    ) -> None:
        one = register(store, crossover(tenant))
        two = register(store, crossover(tenant, text="v2"))
        made = store.set_deployment(deployment(one), expected=None)

        with pytest.raises(DeploymentConflict, match=one.version):
            store.set_deployment(deployment(two), expected=None)
        with pytest.raises(DeploymentConflict):
            store.set_deployment(deployment(two), expected=two.version[::-1])

        assert store.deployments(tenant, "crossover") == [made]

    def test_of_many_callers_that_expect_the_same_one_wins(
        self, store: GraphStore, tenant: str
    ) -> None:
        made = [register(store, crossover(tenant, text=f"v{i}")) for i in range(THREADS)]
        before = None
        for at_ms in (5_000, 6_000, 7_000):  # a race that one round may not show
            outcomes = together(
                [
                    lambda v=v, at=at_ms, b=before: store.set_deployment(
                        deployment(v, at_ms=at), expected=b
                    )
                    for v in made
                    if v.version != before
                ]
            )
            winners = [o for o in outcomes if isinstance(o, Deployment)]
            losers = [o for o in outcomes if isinstance(o, DeploymentConflict)]
            assert len(winners) == 1
            assert len(losers) == len(outcomes) - 1
            assert store.deployments(tenant, "crossover") == winners
            before = winners[0].version
        assert len(store.activations(tenant, "crossover", "production")) == 3

    def test_what_is_not_registered_cannot_be_deployed(
        self, store: GraphStore, tenant: str
    ) -> None:
        stranger = crossover(tenant)
        with pytest.raises(UnknownStrategy):
            store.set_deployment(deployment(stranger), expected=None)
        with pytest.raises(UnknownStrategy):
            store.set_deployment(deployment(stranger, active=None), expected=None)
        register(store, stranger)
        with pytest.raises(UnknownVersion):
            store.set_deployment(deployment(stranger, active="0" * 32), expected=None)
        assert store.deployments(tenant, "crossover") == []


class TestReading:
    def test_unknown_things_have_their_own_errors(self, store: GraphStore, tenant: str) -> None:
        with pytest.raises(UnknownStrategy):
            store.get_version(tenant, "crossover", "0" * 32)
        with pytest.raises(UnknownStrategy):
            store.list_versions(tenant, "crossover", before_ms=None, limit=5)
        with pytest.raises(UnknownNode):
            store.get_node(tenant, id_of("fast"))
        with pytest.raises(UnknownNode):
            store.lineage(tenant, id_of("fast"), direction="upstream", depth=3)
        with pytest.raises(UnknownSource):
            store.get_source(tenant, "prices")
        register(store, crossover(tenant))
        with pytest.raises(UnknownVersion):
            store.get_version(tenant, "crossover", "0" * 32)
        assert store.deployments(tenant, "never heard of") == []

    def test_tenants_see_nothing_of_one_another(self, store: GraphStore, tenant: str) -> None:
        mine = register(store, crossover(tenant))
        stranger = f"{tenant}-other"
        store.set_deployment(deployment(mine), expected=None)

        assert store.list_strategies(stranger, after="", limit=9) == []
        assert store.list_nodes(stranger, after="", limit=9) == []
        assert store.list_nodes(stranger, after="", limit=9, tag="SIGNAL") == []
        assert store.list_sources(stranger, after="", limit=9) == []
        assert store.deployments(stranger, "crossover") == []
        with pytest.raises(UnknownNode):
            store.get_node(stranger, id_of("fast"))

        theirs = make_version(
            stranger,
            make_spec(
                "theirs",
                [make_node("fast", sources=["prices"])],
                [make_source("prices", interval_ns=None)],  # no conflict: it is their own
            ),
        )
        register(store, theirs)
        assert [b.strategy for b in store.get_node(stranger, id_of("fast")).bindings] == ["theirs"]
        assert [b.strategy for b in store.get_node(tenant, id_of("fast")).bindings] == ["crossover"]
        below = store.lineage(stranger, id_of("fast"), direction="downstream", depth=9)
        assert below.items == ()

    def test_a_node_shows_its_content(self, store: GraphStore, tenant: str) -> None:
        register(store, crossover(tenant))

        node = store.get_node(tenant, id_of("fast"))

        assert node.params == (("length", "10"),)
        assert node.code == "def fast(): ..."
        assert node.interval_ns == DAY_NS

    def test_nodes_are_paged_by_id_and_filtered_by_tag(
        self, store: GraphStore, tenant: str
    ) -> None:
        register(store, crossover(tenant))
        ids = sorted(map(id_of, ("fast", "slow", "signal")))

        assert [n.node_id for n in store.list_nodes(tenant, after="", limit=2)] == ids[:2]
        assert [n.node_id for n in store.list_nodes(tenant, after=ids[1], limit=2)] == ids[2:]
        assert nodes_with(store, tenant, "SIGNAL") == [id_of("signal")]
        assert nodes_with(store, tenant, "FEATURE") == ids
        assert nodes_with(store, tenant, "NOBODY") == []

    def test_strategies_are_paged_by_name(self, store: GraphStore, tenant: str) -> None:
        for name in ("b", "c", "a"):
            register(store, make_version(tenant, make_spec(name, [make_node("n")])))

        first = store.list_strategies(tenant, after="", limit=2)
        assert [s.name for s in first] == ["a", "b"]
        assert [s.name for s in store.list_strategies(tenant, after="b", limit=2)] == ["c"]
        assert first[0].description == "About a"
        assert first[0].active == {}

    def test_versions_are_listed_newest_first_even_of_one_millisecond(
        self, store: GraphStore, tenant: str
    ) -> None:
        made = [register(store, crossover(tenant, text=f"v{i}")) for i in range(3)]

        page = store.list_versions(tenant, "crossover", before_ms=None, limit=2)
        rest = store.list_versions(tenant, "crossover", before_ms=page[-1].created_at_ms, limit=2)

        assert [v.version for v in (*page, *rest)] == [v.version for v in reversed(made)]
        assert [v.created_at_ms for v in (*page, *rest)] == [1_002, 1_001, 1_000]
        summary = store.list_strategies(tenant, after="", limit=1)[0]
        assert (summary.versions, summary.latest_version) == (3, made[2].version)


class TestLineage:
    def test_upstream_leads_to_the_sources(self, store: GraphStore, tenant: str) -> None:
        register(store, crossover(tenant))

        above = store.lineage(tenant, id_of("signal"), direction="upstream", depth=9)

        assert [(i.names, i.kind, i.distance) for i in sorted(above.items, key=by_name)] == [
            (("crossover.fast",), "node", 1),
            (("crossover.slow",), "node", 1),
            (("prices",), "source", 2),
        ]
        assert set(above.edges) == {
            LineageEdge(reader=id_of("signal"), read=id_of("fast"), argument="fast"),
            LineageEdge(reader=id_of("signal"), read=id_of("slow"), argument="slow"),
            LineageEdge(reader=id_of("fast"), read="prices", argument="prices"),
            LineageEdge(reader=id_of("slow"), read="prices", argument="prices"),
        }

    def test_downstream_leads_to_every_reader(self, store: GraphStore, tenant: str) -> None:
        register(store, crossover(tenant))

        below = store.lineage(tenant, id_of("fast"), direction="downstream", depth=9)

        assert [i.names for i in below.items] == [("crossover.signal",)]
        assert below.edges == (
            LineageEdge(reader=id_of("signal"), read=id_of("fast"), argument="fast"),
        )

    def test_depth_bounds_the_walk(self, store: GraphStore, tenant: str) -> None:
        chain = [make_node("n0")] + [make_node(f"n{i}", reads=[f"n{i - 1}"]) for i in range(1, 5)]
        register(store, make_version(tenant, make_spec("chain", chain)))

        above = store.lineage(tenant, id_of("n4"), direction="upstream", depth=2)
        below = store.lineage(tenant, id_of("n0"), direction="downstream", depth=3)

        assert [i.names for i in above.items] == [("chain.n3",), ("chain.n2",)]
        assert [i.distance for i in below.items] == [1, 2, 3]

    def test_paths_that_fork_and_join_thirty_times_are_walked_once(
        self, store: GraphStore, tenant: str
    ) -> None:
        nodes = [make_node("a0"), make_node("b0")]
        for i in range(1, 31):
            above = [f"a{i - 1}", f"b{i - 1}"]
            nodes += [make_node(f"a{i}", reads=above), make_node(f"b{i}", reads=above)]
        register(store, make_version(tenant, make_spec("ladder", nodes)))

        found = store.lineage(tenant, id_of("a30"), direction="upstream", depth=50)

        assert len(found.items) == 60  # over 2 ** 29 paths
        assert len(found.edges) == 2 + 29 * 4

    def test_a_node_read_under_two_arguments_has_two_edges(
        self, store: GraphStore, tenant: str
    ) -> None:
        twins = [
            make_node("a", node_id=id_of("one")),
            make_node("b", node_id=id_of("one")),
            make_node("reader", reads=["a", "b"]),
        ]
        register(store, make_version(tenant, make_spec("twins", twins)))

        above = store.lineage(tenant, id_of("reader"), direction="upstream", depth=1)

        assert [e.argument for e in above.edges] == ["a", "b"]
        assert [i.names for i in above.items] == [("twins.a", "twins.b")]


def versions(store: GraphStore, tenant: str, strategy: str = "crossover"):
    return store.list_versions(tenant, strategy, before_ms=None, limit=50)


def nodes_with(store: GraphStore, tenant: str, tag: str) -> list[str]:
    return [n.node_id for n in store.list_nodes(tenant, after="", limit=9, tag=tag)]


def by_name(item) -> tuple[str, ...]:
    return item.names


def test_a_wrong_password_is_named(settings: Settings) -> None:
    with connect(settings.graph_url, settings.graph_user, "wrong", timeout_s=3) as driver:
        store = Neo4jGraphStore(driver, settings.graph_database)
        with pytest.raises(Unavailable, match="refuses the user or the password"):
            store.ping()
