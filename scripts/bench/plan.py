"""What is measured: works, connections, rounds; each round lets one contestant after the other do the same."""

import dataclasses

from bench.contestants import median

KEYS = 100_000
CONNECTIONS = (1, 16, 64, 256)
PAIRS = (1, 10, 100, 10_000)
CURVE_CONNECTIONS = 64
LARGE_CHANGES = 100
BESIDE_LARGE = 4


@dataclasses.dataclass(frozen=True)
class Work:
    name: str  # what the load generator and benches/pgbench call it
    title: str
    contestants: tuple


ALL = ("ifmatch", "pgbench", "etcd")
WORKS = (
    Work("put", "one change, {keys} keys", ALL),
    Work("hot", "one change, one hot key", ALL),
    Work("increment", "one debit, one hot account", ("ifmatch", "pgbench")),
    Work("two", "two changes, exact tags", ALL),
    Work("large", "100 changes, exact tags", ("ifmatch", "pgbench")),
    Work("get", "GET, 200", ("ifmatch", "pgbench")),
    Work("not-modified", "GET, 304", ("ifmatch",)),
    Work("replay", "retry of an applied PUT", ("ifmatch",)),
)
# Measured for ifmatch only, and not at every number of connections.
CURVES = {
    "transfer": "reads again after a 412",
    "transfer-bodies": "decides from the bodies in the 412",
}
FAIRNESS = "fairness"
NAMES = tuple(work.name for work in WORKS) + tuple(CURVES) + (FAIRNESS,)


@dataclasses.dataclass(frozen=True)
class Case:
    """One cell of a table: who does what, how often at once."""

    contestant: str
    table: str
    work: str
    connections: int
    pairs: int = 0
    beside: int = 0

    def options(self, keys):
        if self.contestant != "ifmatch":
            return {}
        if self.table == FAIRNESS:  # the other half is for the large ones
            return {"keys": keys // 2} | ({"beside_large": self.beside} if self.beside else {})
        return {"keys": 2 * self.pairs if self.pairs else keys}


def cases(names, connections, pairs, present):
    """In the order in which a round goes through them: contestants take turns at each work."""
    found = []
    for work in WORKS:
        if work.name in names:
            contestants = [name for name in work.contestants if name in present]
            found += [Case(name, work.name, work.name, count) for count in connections for name in contestants]
    for curve in CURVES:
        if curve in names:
            found += [Case("ifmatch", curve, curve, CURVE_CONNECTIONS, pairs=count) for count in pairs]
    if FAIRNESS in names:
        found += [Case("ifmatch", FAIRNESS, "put", CURVE_CONNECTIONS, beside=beside) for beside in (0, BESIDE_LARGE)]
    return found


def measure(planned, contestants, rounds, span, keys, say):
    """All of them, `rounds` times; the runs of each, and their medians."""
    runs = {case: [] for case in planned}
    for number in range(rounds):
        for case in runs:
            contestant = contestants[case.contestant]
            run = contestant.run(case.work, case.connections, span, **case.options(keys))
            runs[case].append(run)
            what = f"{case.work:16} {case.connections:3} connections"
            what += f", {case.pairs} pairs" if case.pairs else ""
            what += f", beside {case.beside} large" if case.beside else ""
            say(f"round {number + 1}  {case.contestant:8} {what}: {run['per_second']:,.0f}/s, p99 {run['p99_us'] / 1000:.2f} ms")
    return [
        {**dataclasses.asdict(case), "median": median(rounds), "rounds": rounds} for case, rounds in runs.items()
    ]
