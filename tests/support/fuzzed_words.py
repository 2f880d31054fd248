"""Command lines of hostile words, drawn with a fixed seed from the schema of settings and from the options of verbs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import fields

from gdbench.config.schema import GROUPS, SETTINGS, Timing

__all__ = ["draw_runs", "draw_verbs"]

NUMBERS = (
    *("nan", "inf", "-inf", "-0", "1e999", "-1e999", "1e-999", "1_000", "0x10", "007", ".", "-", "1e", "1.5", "-1"),
    *("9" * 400, "-" + "9" * 400, "9" * 5000, "0." + "0" * 400 + "1", "1e400", "1e308", "5e-324", str(2**63)),
    *("3" * 30, "1,2", "1," * 50 + "1", "0.1,0.1", "1,,2", ",", "1,", "9" * 400 + ",1", "nan,inf", "1e999,2"),
)
STRUCTURES = (
    *("[]", "[[]]", "[1,[2]]", "[[1,2],[3]]", "{}", "{a:1}", "{a:{b:[1]}}", "{1:2}", "{null:1}", "[{}]", "[null]"),
    *("[", "]", "{", "}", "(", ")", "[(", "{a", "{a:", "(1,2)", "[" * 300, "[" * 300 + "]" * 300, "[1,[2]"),
    *("'", '"', "''", '""', "'a", 'a"b', "\\", "\\'", "a:b", "a=b", "a;b", "[true,null]", "{_target_:os.getcwd}"),
)
FUNCTIONS = (
    *("range(1,3)", "range(1,0)", "range(1,10,0)", "range(0,1e9)", "range(nan,inf)", "range(a,b)", "range()"),
    *("interval(0,1)", "interval(nan,inf)", "interval(1,0)", "interval(1)", "tag(log,interval(1e-4,1))"),
    *("tag(log,interval(-1,1))", "tag(a,b)", "tag()", "glob(*)", "glob([*])", "glob(x*)", "glob(*,exclude=3)"),
    *("choice()", "choice(1,2)", "choice([1],{a:1})", "shuffle(1,2)", "sort(1,a)", "sort(3,2,reverse=2)"),
    *("int(a)", "float([1])", "str(1)", "bool(3)", "json_str({a:1})", "extend_list(1)", "int(nan)", "float(1e999)"),
)
INTERPOLATIONS = (
    *("${", "${}", "$", "}$", "${lr}", "${nope}", "${..}", "${.lr}", "${lr", "${lr}}", "${${lr}}", "${oc.env:HOME}"),
    *("${oc.env:NOPE}", "${oc.decode:'['}", "${oc.select:lr}", "${oc.create:{a:1}}", "${oc.dict.keys:optimizer}"),
    *("${hydra:runtime.cwd}", "${hydra.run.dir}", "${now:%Y}", "${objective}", "\\${lr}", "${logspace:-1,1,3}"),
    *("${logspace:0,400,3}", "${logspace:a,b,c}", "${logspace:0,1,1000000000000}", "${a:b:c}"),
    *("${logspace:nan,inf,3}", "${logspace:0,1,-1}", "${python_version:micro}", "x${lr}y", "${timing}", "${hydra:}"),
)
TEXTS = (
    *(
        "",
        " ",
        "null",
        "~",
        "true",
        "None",
        "???",
        "é",
        "日本",
        "\u202etxt",
        "\x00",
        "a\x00b",
        "\x1b[31m",
        "\x9b",
        "\x7f",
    ),
    *("\n", "a\nb", "\t", "\r", "\ud800", "..", "../..", "/", "/proc/x", "/dev/null/x", "~nobody/x", "%", "$HOME"),
    *(
        "`id`",
        "=cmd()",
        "@x",
        "*",
        "x" * 10_000,
        "a b",
        "a,b",
        "-m",
        "--",
        "!!python/object:os.system",
        "<b>",
        "[/red]",
    ),
)
VALUES = (*NUMBERS, *STRUCTURES, *FUNCTIONS, *INTERPOLATIONS, *TEXTS)
OPTIONS_OF_GROUPS = {
    "objective": ("n", "condition", "instance", "_target_", "nope", "n.m"),
    "optimizer": ("lr", "beta1", "momentum", "default_lr", "manual", "manual._target_", "torch", "nope", ""),
    "timing": (*(field.name for field in fields(Timing)), "nope"),
    "schedule": ("over", "warmup", "_target_"),
    "clip": ("max_norm", "_target_"),
    "noise": ("scale", "_target_"),
    "average": ("decay", "start", "_target_"),
}
GOOD_CHOICES = ("objective=quadratic", "objective=rosenbrock", "optimizer=adam", "optimizer=momentum", "timing=off")
HYDRA_KEYS = (
    *("hydra", "hydra/launcher", "hydra/sweeper", "hydra/job_logging", "hydra/hydra_logging", "hydra/help"),
    *("hydra/env", "hydra/output", "hydra/callbacks", "hydra/nope", "hydra.launcher", "hydra.launcher._target_"),
    *("hydra.launcher.n", "hydra.sweeper", "hydra.sweeper._target_", "hydra.sweeper.params"),
    *("hydra.sweeper.params.lr", "hydra.run", "hydra.sweeper.n_trials", "hydra.run.dir", "hydra.sweep"),
    *("hydra.sweep.dir", "hydra.sweep.subdir", "hydra.mode", "hydra.output_subdir", "hydra.callbacks"),
    *("hydra.callbacks.a", "hydra.callbacks.a._target_", "hydra.searchpath", "hydra.verbose", "hydra.job"),
    *("hydra.job.name", "hydra.job.chdir", "hydra.job.num", "hydra.job.id", "hydra.env", "hydra.job.config"),
    *("hydra.job.config.override_dirname", "hydra.job.env_set", "hydra.job.env_copy", "hydra.nope"),
    *("hydra.job_logging", "hydra.hydra_logging", "hydra.hydra_logging.version", "hydra.runtime", "hydra.help"),
    *("hydra.runtime.choices", "hydra.runtime.cwd", "hydra.runtime.output_dir", "hydra.overrides"),
    *("hydra.hydra_help", "hydra.overrides.task", "hydra.overrides.hydra", "hydra.help.template"),
    *("hydra.runtime.config_sources",),
)
HYDRA_VALUES = (
    *("inf", "[[]]", "{}", "null", "3", "true", "nope", "basic", "joblib", "lanes", "optuna", "none", "default"),
    *("RUN", "MULTIRUN", "/proc/x", "[x]", "[file:///nope]", "[pkg://nope]", "[3]", "os.getcwd", "builtins.int"),
    *("{a:3}", "a,b"),
)
STRANGE_KEYS = (
    *(
        "code",
        "part",
        "part.cell",
        "code.x",
        "experiment",
        "defaults",
        "_target_",
        "_self_",
        "",
        " ",
        "lr ",
        " lr",
        "@",
    ),
    *(
        "optimizer@objective",
        "optimizer@a.b",
        "objective@_global_",
        "/objective",
        "objective/",
        "optimizer/adam",
        "lr/x",
    ),
    *(
        "objective/quadratic",
        "lr.a",
        "lr.0",
        "lr[0]",
        "objective[n]",
        "a.b.c",
        "..",
        ".lr",
        "lr.",
        "é",
        "\x00",
        "x" * 5000,
    ),
    *(
        "gdbench_schema",
        "config",
        "timing@x",
        "override",
        "hydra@x",
        "optimizer:adam",
        "-lr",
        "--lr",
        "lr\n",
        "1",
        "null",
    ),
)
COSTLY = (
    "steps",
    "points",
    "seed",
    "threads",
    "trials",
    "timing",
    "objective",
    "start_noise",
    "lr",
    "optimizer",
    "trace",
)
"""Settings of which some hostile values are allowed and take long to run: they are only planned."""
OPTIONS = (
    *(("-m",), ("--multirun",), ("--run",), ("--cfg", "VALUE"), ("--cfg", "job"), ("--cfg", "hydra")),
    *(("--cfg", "all"), ("--package", "VALUE"), ("-p", "hydra.VALUE"), ("--resolve",), ("--info", "VALUE")),
    *(("--config-dir", "VALUE"), ("--config-name", "VALUE"), ("--config-path", "VALUE"), ("--config-dir=VALUE",)),
    *(("-cd",), ("-cn", "VALUE"), ("--experimental-rerun", "VALUE"), ("-sc", "VALUE"), ("--VALUE",), ("-VALUE",)),
    *(("VALUE",), ("--trust",), ("--json",), ("--quiet",), ("--all-runs",), ("--hydra-help",), ("--info", "config")),
    *(("--info", "all"),),
)
RUNS = ("steps=2", "timing.seconds=0", "--quiet")


def _draw_key(chance: random.Random) -> str:
    """A key: of a setting, of a group's option, of Hydra's own, or one that is none."""
    kind = chance.random()
    if kind < 0.35:
        return chance.choice(SETTINGS)
    if kind < 0.55:
        group = chance.choice(GROUPS)
        return f"{group}.{chance.choice(OPTIONS_OF_GROUPS[group])}"
    return chance.choice(HYDRA_KEYS if kind < 0.8 else STRANGE_KEYS)


def _draw_override(chance: random.Random) -> str:
    """``KEY=VALUE`` with something hostile in it, and now and then one of Hydra's signs before it."""
    key = _draw_key(chance)
    values = HYDRA_VALUES if key.startswith("hydra") and chance.random() < 0.7 else VALUES
    sign = chance.choice(("", "", "", "", "+", "++", "~"))
    written = "" if sign == "~" and chance.random() < 0.5 else f"={chance.choice(values)}"
    return f"{sign}{key}{written}"


def _draw_option(chance: random.Random) -> tuple[str, ...]:
    value = chance.choice(VALUES)
    return tuple(word.replace("VALUE", value) for word in chance.choice(OPTIONS))


def draw_runs(seed: int, count: int) -> Iterator[tuple[str, ...]]:
    """Command lines of ``run``: one to three hostile settings or options, among good ones."""
    chance = random.Random(seed)
    for _ in range(count):
        words = [_draw_override(chance) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        words += [chance.choice(GOOD_CHOICES)] if chance.random() < 0.3 else []
        chance.shuffle(words)
        options = [
            *(("-m",) if chance.random() < 0.4 else ()),
            *(_draw_option(chance) if chance.random() < 0.2 else ()),
        ]
        costly = any(word.lstrip("+~").startswith(COSTLY) for word in words)
        end = ("--dry-run",) if costly or chance.random() < 0.5 else RUNS
        first = ("run",) if chance.random() < 0.1 else ()
        yield (*first, *options, *words, *end)


def draw_verbs(seed: int, count: int, verbs: Sequence[str], good: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Command lines of verbs, as ``show:--json --outputs=`` describes one; ``good`` are words of what exists."""
    chance = random.Random(seed)
    for _ in range(count):
        names, options = (part.split() for part in chance.choice(verbs).split(":"))
        words: list[str] = []
        for _ in range(chance.choice((0, 1, 1, 2)) if options else 0):
            option = chance.choice(options)
            words += [option.rstrip("="), *([chance.choice((*VALUES, *good))] if option.endswith("=") else [])]
        arguments = [
            chance.choice(good if chance.random() < 0.5 else VALUES) for _ in range(chance.choice((0, 1, 1, 2)))
        ]
        yield (*names, *chance.choice(((*words, *arguments), (*arguments, *words))))
