"""What nodes cost, in a memory ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence


class Costs:
    """Microseconds by tenant, strategy and node id.

    They are known by generations of ``ttl_ms``: what nobody asked for or noted during a whole one
    is gone after it.
    """

    def __init__(self, ttl_ms: int) -> None:
        self._ttl_ms = ttl_ms
        self._costs: dict[tuple[str, str], dict[str, tuple[int, int]]] = defaultdict(dict)

    def note(self, tenant: str, strategy: str, cost_us: Mapping[str, int], now_ms: int) -> None:
        """Note costs."""
        generation = now_ms // self._ttl_ms
        noted = {node_id: (cost, generation) for node_id, cost in cost_us.items()}
        self._costs[tenant, strategy].update(noted)

    def known(
        self, tenant: str, strategy: str, node_ids: Sequence[str], now_ms: int
    ) -> list[int | None]:
        """Return the cost of each node, None where it is not known."""
        generation, costs = now_ms // self._ttl_ms, self._costs[tenant, strategy]
        recent = {n: costs[n][0] for n in node_ids if n in costs and costs[n][1] >= generation - 1}
        self.note(tenant, strategy, recent, now_ms)
        return [recent.get(node_id) for node_id in node_ids]
