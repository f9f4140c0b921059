"""Run the benchmarks and write their figures into the documentation (`make bench`).

    python docs/make_performance.py               all of them, about half an hour on two cores
    python docs/make_performance.py index load    some; the others keep their figures
    python docs/make_performance.py --quick       smaller cases, printed only
    python docs/make_performance.py --render      write the pages again from the figures on disk

Figures go to `docs/performance/figures.json`, the tables made of them into `docs/performance.md`
between its `<!-- name -->` marks, the plots beside them, and the headline figures into the README.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"
FOLDER = ROOT / "docs" / "performance"
FIGURES = FOLDER / "figures.json"
NAMES = ("embedding", "dense", "memory", "index", "ranking", "interaction", "load", "scaling")
Record = dict[str, Any]
#: Colours beside matplotlib's ten.
TWO_MORE = ((0.1, 0.1, 0.1), (0.6, 0.8, 0.2))


def main() -> int:
    """Run the benchmarks asked for and write their figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="smaller cases, nothing is written")
    parser.add_argument("--render", action="store_true", help="run nothing, write the pages")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    kept: dict[str, Record] = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    failed = []
    for name in () if options.render else options.names or NAMES:
        record = run(name, quick=options.quick)
        if record is None:
            failed.append(name)
            continue
        for figure in record["figures"]:
            print(f"  {summary(figure)}", flush=True)
        if not options.quick:
            kept[name] = record
            FOLDER.mkdir(exist_ok=True)
            FIGURES.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if not options.quick:
        PAGE.write_text(rendered(PAGE.read_text("utf-8"), tables(kept)), "utf-8")
        README.write_text(
            rendered(README.read_text("utf-8"), {"headline": headline(kept)}), "utf-8"
        )
        plots(kept)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def run(name: str, *, quick: bool) -> Record | None:
    """Run one benchmark; its figures and where they were taken, or None if it failed."""
    command = [sys.executable, f"benchmarks/{name}.py", "--json", *["--quick"] * quick]
    print(f"== {' '.join(command[1:])}", flush=True)
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    figures = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not figures:
        return None
    if done.returncode:
        print(f"  {name} misses its own limit", flush=True)
    return {
        "taken": date.today().isoformat(),
        "machine": machine(),
        "seconds": round(time.monotonic() - started),
        "figures": figures,
    }


def machine() -> str:
    """The processor, what of it may be used, and the memory."""
    model = platform.machine()
    with Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GB"


def summary(figure: Record) -> str:
    """A figure in one line."""
    return (
        f"{figure['name']}: {number(figure['ours'])} against {number(figure['rival'])} "
        f"({figure['rival_name']}), ratio {number(figure['ratio'])} ± "
        f"{number(figure['spread'])}, quality {quality(figure['quality'])}"
    )


def number(value: float) -> str:
    """Three or four digits that matter, thousands set apart."""
    if not value:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"


def quality(value: Any) -> str:
    """What stands in the quality column."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {quality(v)}" for name, v in value.items())
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return str(value)
    return f"{value:.5g}" if abs(value) <= 1 else f"{value:,.5g}"


def tables(kept: dict[str, Record]) -> dict[str, str]:
    """The text of each mark of the page."""
    made = {name: table(kept[name]) for name in NAMES if name in kept}
    if "index" in kept:
        made["contenders"] = contenders(kept["index"])
    if "interaction" in kept:
        made["interaction"] += "\n\n![Click to highlight](performance/interaction.png)"
    return made


def table(record: Record) -> str:
    """A benchmark's figures."""
    lines = ["| | ours | rival | | ratio | spread | quality |", "|---|---|---|---|---|---|---|"]
    for one in record["figures"]:
        ours, rival = number(one["ours"]), number(one["rival"])
        lines.append(
            f"| {one['name']} | {ours} | {rival} | {one['rival_name']} | "
            f"**{number(one['ratio'])}** | {number(one['spread'])} | {quality(one['quality'])} |"
        )
    lines += ["", f"Taken {record['taken']} in {record['seconds']} s on {record['machine']}."]
    return "\n".join(lines)


def chips_of(figure: Record) -> str:
    """The size that a figure's name tells, with its thousands apart."""
    return f"{int(re.findall(r'[0-9]+(?= chips)', figure['name'])[0]):,} chips"


def contenders(record: Record) -> str:
    """Everybody that was measured beside the index, size by size."""
    lines = []
    for figure in record["figures"]:
        if not figure.get("contenders"):
            continue
        lines += ["", f"**{chips_of(figure)}**", ""]
        lines += ["| | recall@10 | p50, µs | p99, µs | build, s | bytes a chip |"]
        lines += ["|---|---|---|---|---|---|"]
        for one in figure["contenders"]:
            built, held = (number(one[key]) if one[key] else "" for key in ("build", "size"))
            lines.append(
                f"| {one['name']} | {one['recall']:.4f} | {number(one['p50'])} | "
                f"{number(one['p99'])} | {built} | {held} |"
            )
    lines += ["", "![Recall and time of a query](performance/index.png)"]
    return "\n".join(lines).strip()


def headline(kept: dict[str, Record]) -> str:
    """The figures for the README, each with its rival and the command that measures it."""
    lines = []
    if dense := figure_of(kept, "dense", "stride 64"):
        lines.append(
            f"- **{number(dense['ratio'])} times faster to a searchable area**: overlapping chips "
            f"(stride 64) embedded in one pass, beside chip-by-chip Keras `predict` "
            f"(`python benchmarks/dense.py`)."
        )
    if query := figure_of(kept, "index", "p50 of a query"):
        lines.append(
            f"- **{query['ours'] / 1000:.2g} ms for an answer among {chips_of(query)}** at "
            f"recall@10 of {query['quality']:.3f}; the best rival that reaches 0.99, "
            f"{short(query['rival_name'])}, needs "
            f"{query['rival'] / 1000:.2g} ms (`python benchmarks/index.py`)."
        )
    return "\n".join(lines)


def figure_of(kept: dict[str, Record], name: str, words: str) -> Record | None:
    """The last figure of a benchmark whose name holds these words: the largest case."""
    found = [f for f in kept.get(name, {}).get("figures", []) if words in f["name"]]
    return found[-1] if found else None


def rendered(page: str, texts: dict[str, str]) -> str:
    """The page with each text put between its marks; other marks keep what they have."""
    for name, text in texts.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page = marks.sub(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
    return page


def plots(kept: dict[str, Record]) -> None:
    """Recall and time of everybody beside the index; time to a highlight by number of chips."""
    import matplotlib as mpl

    mpl.use("Agg")
    if "index" in kept:
        plot_index(kept["index"]["figures"])
    if "interaction" in kept:
        plot_interaction(kept["interaction"]["figures"])


def plot_index(figures: list[Record]) -> None:
    """Recall@10 against p50, a panel a size."""
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    sized = [f for f in figures if f.get("contenders")]
    drawing, axes = plt.subplots(
        1, len(sized), figsize=(4.6 * len(sized), 4.2), squeeze=False, layout="constrained"
    )
    names = list(dict.fromkeys(short(c["name"]) for f in sized for c in f["contenders"]))
    colours = dict(zip(names, plt.get_cmap("tab20").colors[::2] + TWO_MORE, strict=False))
    for axis, figure in zip(axes[0], sized, strict=True):
        for one in figure["contenders"]:
            own = one["name"].startswith("ours")
            axis.scatter(
                one["p50"], one["recall"], s=150 if own else 60, marker="*" if own else "o",
                color=colours.get(short(one["name"]), "grey"), label=short(one["name"]),
            )  # fmt: skip
        axis.set(xscale="log", title=chips_of(figure), xlabel="p50 of a query, µs")
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("recall@10")
    shown = {
        label: mark
        for axis in axes[0]
        for mark, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    drawing.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=3, fontsize=8)
    drawing.savefig(FOLDER / "index.png", dpi=110)
    plt.close(drawing)


def short(name: str) -> str:
    """A contender's name without its setting."""
    return name.partition(" (")[0].partition(": ")[0]


def plot_interaction(figures: list[Record]) -> None:
    """Click to highlight, ours and the rival's, by number of chips."""
    from matplotlib import pyplot as plt

    drawing, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    for quantile, style in (("p50", "-o"), ("p95", "--s")):
        found = [f for f in figures if "highlight" in f["name"] and quantile in f["name"]]
        sizes = [int(re.sub(r"\D", "", re.findall(r"[\d,]+ chips", f["name"])[0])) for f in found]
        ours = [f["ours"] for f in found]
        axis.plot(sizes, ours, style, color="#0a7d72", label=f"ours, {quantile}")
        rival = [(size, f["rival"]) for size, f in zip(sizes, found, strict=True) if f["rival"]]
        if rival:
            name = f"leafmap + st_folium, {quantile}"
            axis.plot(*zip(*rival, strict=True), style, color="#b5651d", label=name)
    axis.set(xscale="log", yscale="log", xlabel="chips", ylabel="click to highlight, ms")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    drawing.savefig(FOLDER / "interaction.png", dpi=110)
    plt.close(drawing)


if __name__ == "__main__":
    raise SystemExit(main())
