"""Works are begun in the order that inputs allow, the longest way first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core import seeding
from pipeline.walk.graph import Graph
from pipeline.walk.waiting import Waiting


@dataclass(frozen=True)
class Stub:
    """A node that has nothing but what the order asks for."""

    trains: bool


def graph(before: Mapping[str, set[str]], trains: str) -> Graph:
    nodes: dict[str, Any] = {name: Stub(name in trains) for name in before}
    return Graph(nodes=nodes, before={n: frozenset(of) for n, of in before.items()})


def test_the_longest_way_is_begun_first_and_then_the_order_of_the_plan() -> None:
    waiting = Waiting(graph({"a": set(), "b": set(), "c": set(), "d": {"c"}}, "abcd"))
    taken = [waiting.take(trains=True, others=True) for _ in range(4)]
    assert taken == ["c", "a", "b", None]
    waiting.finished("c")
    assert waiting.take(trains=True, others=True) == "d"


def test_kinds_are_taken_apart_where_one_executor_is_free() -> None:
    waiting = Waiting(graph({"a": set(), "b": set(), "c": {"b"}}, "bc"))
    assert waiting.take(trains=False, others=True) == "a"
    assert waiting.take(trains=False, others=True) is None
    assert waiting.take(trains=False, others=False) is None
    assert waiting.take(trains=True, others=False) == "b"
    waiting.put_back("b")  # its process was killed
    assert waiting.take(trains=True, others=False) == "b"


def test_whatever_the_graph_each_is_taken_once_and_after_its_inputs() -> None:
    draw = seeding.generator(0, "init")
    names = [f"n{number}" for number in range(300)]
    before = {
        name: {names[one] for one in draw.integers(0, max(number, 1), draw.integers(4))}
        - {name}
        for number, name in enumerate(names)
    }
    waiting = Waiting(graph(before, "".join(names[::2])))
    done: set[str] = set()
    running: list[str] = []
    while True:
        while name := waiting.take(trains=True, others=True):
            assert before[name] <= done
            running.append(name)
        if not running:
            break
        ended = running.pop(draw.integers(len(running)))
        assert ended not in done
        done.add(ended)
        waiting.finished(ended)
    assert done == set(names)
