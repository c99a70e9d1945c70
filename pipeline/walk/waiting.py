"""Choose the next piece of work of a walk, without looking at all of them.

Each piece counts the inputs that it still waits for; what has all of them lies in a heap,
the longest way to the end of the walk first.
"""

import heapq

from pipeline.walk.graph import Graph


class Waiting:
    """The pieces of work of a walk that have not begun."""

    def __init__(self, graph: Graph) -> None:
        """All of them.

        Args:
            graph: which of them waits for which.
        """
        self._graph = graph
        self._unmet = {name: len(before) for name, before in graph.before.items()}
        self._places = {name: place for place, name in enumerate(graph.nodes)}
        self._ready: dict[bool, list[tuple[int, int, str]]] = {False: [], True: []}
        for name, unmet in self._unmet.items():
            if not unmet:
                self.put_back(name)

    def put_back(self, name: str) -> None:
        """Let a piece of work whose inputs are there wait to be begun."""
        one = -self._graph.to_come[name], self._places[name], name
        heapq.heappush(self._ready[self._graph.nodes[name].trains], one)

    def finished(self, name: str) -> None:
        """Count what this one has made among the inputs of others."""
        for later in self._graph.after[name]:
            self._unmet[later] -= 1
            if not self._unmet[later]:
                self.put_back(later)

    def take(self, *, trains: bool, others: bool) -> str | None:
        """Take out what is to be begun next, the longest way first, then in plan's order.

        Args:
            trains: whether it may be a training.
            others: whether it may be anything else.

        Returns:
            Its name; None if nothing of this kind has all its inputs.
        """
        kinds = [kind for kind, asked in ((True, trains), (False, others)) if asked]
        heaps = [self._ready[kind] for kind in kinds if self._ready[kind]]
        if not heaps:
            return None
        return heapq.heappop(min(heaps, key=lambda heap: heap[0]))[-1]
