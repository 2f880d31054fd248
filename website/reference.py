"""The pages of the reference, as Markdown made from the code: nothing in them is typed by hand."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gdbench.cli.app import list_subverbs
from gdbench.cli.help import VERBS
from gdbench.cli.main import main
from gdbench.config.config_folders import config_folder
from gdbench.objectives import Objective
from gdbench.objectives.base import count_coordinates
from gdbench.results.columns import COLUMNS, TABLE_COLUMNS, Field, is_exact
from website.facts import Entry, Setting, by_family, entries, settings
from website.pictures import around, contours, curve, plane
from website.typeset import prose, table, typeset
from website.walks import STEPS, Walk, bowl, walks

__all__ = ["navigation", "pages"]

SHOWN = 6
"""Coordinates of a point that a page writes out."""


def pages() -> dict[str, str]:
    """Every page of the reference: where it lies within the site, and its Markdown."""
    made = {
        "reference/columns.md": columns(),
        "reference/settings.md": all_settings(),
        "reference/commands.md": commands(),
        "reference/objectives/index.md": overview("objective", OBJECTIVES),
        "reference/optimizers/index.md": overview("optimizer", OPTIMIZERS),
    }
    for family, members in by_family(entries("objective")).items():
        made[f"reference/objectives/{family}.md"] = family_page(family, members, objective)
    walked = walks()
    for family, members in by_family(entries("optimizer")).items():
        made[f"reference/optimizers/{family}.md"] = family_page(family, members, lambda each: optimizer(each, walked))
    return made


def navigation() -> dict[str, Any]:
    """The reference's part of the site's navigation."""
    groups = {
        f"{group.capitalize()}s": [
            f"reference/{group}s/index.md",
            *(
                {title(name, members): f"reference/{group}s/{name}.md"}
                for name, members in by_family(entries(group)).items()
            ),
        ]
        for group in ("objective", "optimizer")
    }
    plain = {"Columns": "columns", "Settings": "settings", "Commands": "commands"}
    return {
        "Reference": [
            *({name: f"reference/{page}.md"} for name, page in plain.items()),
            *({k: v} for k, v in groups.items()),
        ]
    }


# ----------------------------------------------------------------------------------------------------------- columns


def columns() -> str:
    """Every column of the tables that a sweep leaves."""
    return f"""# Columns

A sweep's folder holds Parquet tables; `gdbench.load(folder)` reads the first of them, and any tool that knows Parquet
reads all. `python -m gdbench list columns` prints this page in the terminal. Columns marked *exact* are the same to the
bit whenever the same question is asked of the same source on the same machine.

## runs.parquet

One row for each run. Hyper-parameters stand beside these columns as `optimizer.<name>`, `objective.<name>`,
`schedule.<name>`, `clip.<name>`, `noise.<name>` and `average.<name>`.

{_columns(COLUMNS)}

## traces.parquet

Losses along each run, at log-spaced steps, or at every step with `trace=full`.

{_columns(TABLE_COLUMNS["traces"])}

## blocks.parquet

The raw times, block by block.

{_columns(TABLE_COLUMNS["blocks"])}
"""


def _columns(told: Mapping[str, Field]) -> str:
    rows = (
        (
            f'<span id="{name}">`{name}`</span>',
            typeset(each.meaning),
            " ".join(filter(None, [each.kind, each.unit and f"[{each.unit}]"])),
            ", ".join(
                filter(
                    None,
                    [each.better and f"{each.better} is better", "exact" if told is COLUMNS and is_exact(name) else ""],
                )
            ),
        )
        for name, each in told.items()
    )
    return table(("Column", "Meaning", "Kind", ""), rows)


# ---------------------------------------------------------------------------------------------- objectives, optimizers

OBJECTIVES = """# Objectives

What `objective=` may be; `objective=name objective.n=10` sets a number of it. Each family has a page with formulas,
what is known of the minimum, whether it is [separable](../../measure.md#axes), and a picture of those of two variables.
`python -m gdbench list objectives` prints this list.
"""
OPTIMIZERS = """# Optimizers

What `optimizer=` may be; `optimizer=adam optimizer.beta1=0.8` sets a number of it. Each family has a page with the
recurrence, the defaults, and the path of each method in one and the same bowl. `python -m gdbench list optimizers`
prints this list.
"""


def overview(group: str, words: str) -> str:
    """All of a group, family by family."""
    told = entries(group)
    tables = [
        f"## [{title(family, members)}]({family}.md)\n\n"
        + table(("Name", "What it is"), ((f"[`{e.name}`]({family}.md#{e.name})", typeset(e.headline)) for e in members))
        for family, members in by_family(told).items()
    ]
    return "\n\n".join([f"{words}\n{len(told)} of them in {len(tables)} families.", *tables])


def family_page(family: str, members: list[Entry], section: Callable[[Entry], str]) -> str:
    """The page of a family: what its module says, and a section for each member."""
    is_own = members[0].factory.__module__.startswith("gdbench.")
    module = importlib.import_module(f"gdbench.{members[0].group}s.{family}") if is_own else None
    words = prose(inspect.getdoc(module) or "") if module else ""
    return "\n\n".join([f"# {title(family, members)}", words, *map(section, members)])


def title(family: str, members: list[Entry]) -> str:
    """What the navigation calls a family."""
    named = TITLES.get((members[0].group, family))
    return named or family.replace("_", " ").capitalize()


TITLES = {
    ("objective", "bbob"): "COCO's bbob",
    ("objective", "cutest"): "CUTEst",
    ("objective", "factorisation"): "Matrix factorisation",
    ("objective", "mgh"): "Moré, Garbow, Hillstrom",
    ("objective", "multimodal_2d"): "Multimodal, two variables",
    ("objective", "multimodal_nd"): "Multimodal, n variables",
    ("objective", "notebook"): "The notebook's",
    ("objective", "overhead"): "Known cost",
    ("objective", "pinn"): "Physics-informed network",
    ("objective", "stochastic"): "Known gradient noise",
    ("objective", "worst_case"): "Worst cases",
    ("optimizer", "adagrad"): "AdaGrad, RMSprop, Adadelta",
    ("optimizer", "adam_variants"): "Variants of Adam",
    ("optimizer", "asgd"): "Averaged SGD",
    ("optimizer", "averaging"): "Averaging and look-ahead",
    ("optimizer", "muon_adamw"): "Muon with AdamW",
    ("optimizer", "nonlinear_cg"): "Conjugate gradients",
    ("optimizer", "optimal_constants"): "Optimal constants",
    ("optimizer", "second_order"): "Newton and quasi-Newton",
    ("optimizer", "sgd"): "Gradient descent, momentum",
    ("optimizer", "soap"): "SOAP",
    ("optimizer", "torch"): "torch.optim alone",
}
"""Where the name of a file would not do as a title."""


def objective(entry: Entry) -> str:
    """The section of an objective."""
    made = entry.made
    if isinstance(made, str):
        return section(entry, "", [("Not built here", typeset(made))])
    with contextlib.suppress(RuntimeError):  # what cannot be mapped over a grid has no picture
        picture = contours(made.to(made.dtype, "cpu"), label=f"Contours of {entry.name}") if plane(made) else ""
        return section(entry, picture, facts(entry, made))
    return section(entry, "", facts(entry, made))


def facts(entry: Entry, made: Objective) -> list[tuple[str, str]]:
    """What an objective states of itself, at its defaults."""
    least = "unknown" if made.minimum is None else f"{made.minimum:.10g} ({str(made.minimum_kind).replace('_', ' ')})"
    where = "; ".join(_point(each) for each in made.minimisers[:4])
    properties = {
        "the seed decides the start": made.has_random_start,
        "the seed decides each step's batch": made.is_stochastic or made.training is not None,
        "has a domain, to which steps are brought back": made.project is not None,
        "has a proximal map": made.prox is not None,
        "float64 by default": str(made.dtype) == "torch.float64",
        "[separable](../../measure.md#axes)": entry.is_separable,
        "[starts on a diagonal](../../measure.md#axes) of a minimum": entry.starts_on_diagonal,
    }
    return [
        ("Numbers in a point", f"{count_coordinates(made):,}"),
        ("Start", _point(made.start_at(0))),
        ("Minimum", least + (f" at {where}{' …' if len(made.minimisers) > 4 else ''}" if where else "")),
        (
            "Curvature",
            ", ".join(
                f"{sign} = {value:.6g}"
                for sign, value in (("L", made.smoothness), ("μ", made.strong_convexity))
                if value is not None
            ),
        ),
        ("Properties", "; ".join(name for name, holds in properties.items() if holds)),
        ("Source", typeset(made.source)),
    ]


def _point(point: Any) -> str:
    """A point in words: its numbers where they are few, its shapes where not."""
    if isinstance(point, dict):
        shapes = [f"{name} {list(each.shape)}" for name, each in point.items()]
        return typeset(", ".join(shapes[:SHOWN]) + (" …" if len(shapes) > SHOWN else ""))
    numbers = point.flatten().tolist()
    told = ", ".join(f"{each + 0.0:.6g}" for each in numbers[:SHOWN])
    return f"({told}{', …' if len(numbers) > SHOWN else ''})"


def optimizer(entry: Entry, walked: Mapping[str, Walk]) -> str:
    """The section of an optimizer."""
    torchs = entry.config["torch"]
    by = ["manual, compiled"] if entry.config["manual"] else []
    rows = [("Carried out by", " and ".join([*by, *([f"`{torchs['_target_']}`"] if torchs else [])])),
            ("Default lr", f"{entry.config['default_lr']:g}")]  # fmt: skip
    walk = walked[entry.name]
    if walk.path is None:
        return section(entry, "", [*rows, ("No path in the bowl", typeset(str(walk.why)))])
    landscape = bowl()
    ends = [landscape.start_at(0).numpy(), landscape.minimisers[0].numpy()]
    near = around(ends, room=1.0)
    shown = around([*ends, *walk.path.clip(near.low, near.high)], room=0.25)
    picture = contours(landscape, shown, walk.path, f"The path of {entry.name}")
    rows.append(("In the picture", f"{STEPS} steps at lr {walk.lr:.3g}, which end at a gap of {walk.gap:.1e}"))
    return section(entry, picture, rows)


def section(entry: Entry, picture: str, rows: Iterable[tuple[str, str]]) -> str:
    """The section of one entry: headline, words, facts, keys and picture."""
    keys = "\n\n" + _keys(f"{entry.group}.", entry.settings) if entry.settings else ""
    told = table(("", ""), ((f"**{name}**", value) for name, value in rows if value))
    words = prose(entry.words) or typeset(entry.headline)
    return f"""## {entry.name} {{ #{entry.name} }}

<div class="entry" markdown>
<div class="words" markdown>

{words}

{told}{keys}

</div>
<div class="shown">{picture}</div>
</div>"""


# ------------------------------------------------------------------------------------------------- settings, commands


def all_settings() -> str:
    """Every setting of a run, and the groups beside objective and optimizer."""
    groups = {
        "schedule": "lr as a function of the step. The picture shows the factor over 100 steps.",
        "clip": "Gradients are clipped before the method sees them, and after noise.",
        "noise": "Noise that depends on seed, step and coordinate alone is added to gradients.",
        "average": "The method is judged at an average of its points, which does not change them.",
        "timing": "How long a cell is timed.",
        "experiment": "Named sweeps: `python -m gdbench -m experiment=NAME`.",
        "gate": "Suites of the gate: `python -m gdbench gate --suite NAME`.",
    }
    own = settings(config_folder() / "config.yaml")
    parts = [
        "# Settings\n\nEverything that a command line may set as `key=value`, with its default.",
        f"## Of every run\n\n{_keys('', own)}",
        "## Groups\n\nBeside [`objective=`](objectives/index.md) and [`optimizer=`](optimizers/index.md).",
    ]
    for group, words in groups.items():
        parts.append(f"### {group}\n\n{words}\n\n{_options(group)}")
    return "\n\n".join(parts)


def _options(group: str) -> str:
    """The options of a group, with their keys, and for schedules their picture."""
    keyed = group not in ("gate", "experiment")
    rows = []
    for each in entries(group):
        keys = "<br>".join(
            f"`{s.name}={s.default}` {typeset(s.comment)}" for s in each.settings if keyed and s.name != "name"
        )
        rows.append((f"`{each.name}`", typeset(each.headline), keys, *([_factor(each)] if group == "schedule" else [])))
    head = ("Option", "What it does", "Keys" if keyed else "", *([""] if group == "schedule" else []))
    return table(head, rows)


def _factor(entry: Entry) -> str:
    """The picture of a schedule."""
    arguments = {name: value for name, value in entry.config.items() if name != "_target_"}
    if entry.target is None:
        return ""
    factor = entry.factory(steps=100, **arguments)
    return curve([float(factor(k)) for k in range(100)], f"The factor of {entry.name} over 100 steps")


def _keys(prefix: str, told: list[Setting]) -> str:
    rows = ((f"`{prefix}{each.name}`", f"`{each.default}`", typeset(each.comment)) for each in told)
    filled = any(each.comment for each in told)
    return table(
        ("Key", "Default", "Meaning") if filled else ("Key", "Default"), (row if filled else row[:2] for row in rows)
    )


def commands() -> str:
    """The help of the command line and of each of its verbs, as they print it."""
    verbs = [
        *((verb,) for verb in VERBS if verb != "run"),
        *((verb, name) for verb in VERBS for name in list_subverbs(verb)),
    ]
    parts = [f"# Commands\n\n```text\n{_help()}```"]
    parts += [f"## {' '.join(words)}\n\n```text\n{_help(*words)}```" for words in sorted(verbs)]
    return "\n\n".join(parts)


def _help(*words: str) -> str:
    """What --help says, at a width that the page has."""
    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(printed):
            main([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return re.sub(r"[ \t]+\n", "\n", printed.getvalue()).strip("\n") + "\n"
