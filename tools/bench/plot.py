#!/usr/bin/env python3
"""Draws the plots of docs/benchmarks.md: a run as JSON on standard input, the directory as argument.

The same run gives the same bytes: no date, and ids that are hashed from a fixed salt.
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

INK, FAINT = "#333333", "#dddddd"
# Told apart without colour too, by their marks (Okabe and Ito's colours).
SERIES = {"ifmatch": ("#0072b2", "o"), "pgbench": ("#d55e00", "s"), "etcd": ("#009e73", "^")}
CURVES = {
    "transfer": ("reads again after a 412", "#0072b2", "o"),
    "transfer-bodies": ("decides from the bodies in the 412", "#cc79a7", "s"),
}
PANELS = {"put": "one change", "hot": "one change, one hot key", "two": "two changes", "get": "GET"}
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    # Text stays text: small files, and the reader's font. The page behind may be dark.
    "svg.fonttype": "none",
    "svg.hashsalt": "ifmatch",
    "figure.facecolor": "white",
}


def cells(run, contestant, table):
    return [cell for cell in run["cells"] if (cell["contestant"], cell["table"]) == (contestant, table)]


def thousands(axes):
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylim(bottom=0)


def throughput(run, place):
    figure, grid = plt.subplots(2, 2, figsize=(7.2, 5.2), layout="constrained")
    for axes, (table, title) in zip(grid.flat, PANELS.items()):
        for contestant, (colour, mark) in SERIES.items():
            points = [(cell["connections"], cell["median"]["per_second"]) for cell in cells(run, contestant, table)]
            if points:
                axes.plot(*zip(*sorted(points)), color=colour, marker=mark, label=contestant)
        counts = sorted({cell["connections"] for cell in cells(run, "ifmatch", table)})
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_title(title)
        thousands(axes)
    for axes in grid[1]:
        axes.set_xlabel("connections")
    for axes in grid[:, 0]:
        axes.set_ylabel("a second")
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    save(figure, place / "throughput.svg")


def conflicts(run, place):
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.1), layout="constrained")
    for table, (label, colour, mark) in CURVES.items():
        points = sorted(
            (cell["pairs"], cell["median"]["conflicts"] / cell["median"]["operations"], cell["median"]["per_second"])
            for cell in cells(run, "ifmatch", table)
        )
        pairs, each, rates = zip(*points)
        left.plot(pairs, each, color=colour, marker=mark, label=label)
        right.plot(pairs, rates, color=colour, marker=mark)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(pairs, [f"{count:,}" for count in pairs])
        axes.minorticks_off()
        axes.set_xlabel("pairs of accounts")
    left.set_title("conflicts each transfer")
    left.set_yscale("symlog", linthresh=0.1)
    left.set_ylim(bottom=0)
    left.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
    right.set_title("transfers a second")
    thousands(right)
    figure.legend(loc="outside upper left", ncols=2)
    save(figure, place / "conflicts.svg")


def save(figure, path):
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    # Its lines end in blanks, which tools that look at changes object to.
    text = "\n".join(line.rstrip() for line in path.read_text().splitlines())
    path.write_text(text + "\n")
    plt.close(figure)


def main():
    run, place = json.load(sys.stdin), pathlib.Path(sys.argv[1])
    with plt.rc_context(STYLE):
        throughput(run, place)
        conflicts(run, place)


if __name__ == "__main__":
    main()
