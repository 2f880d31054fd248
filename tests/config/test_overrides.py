from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from support.tiers import representatives

import gdbench
from gdbench.config.override_parser import parse_overrides
from gdbench.config.overrides import (
    code_override,
    format_override,
    format_value,
    quote_text,
    read_text,
    search_path_override,
)

PARSER = OverridesParser.create()
SPECIAL = "\\'\"${}[](),=:~&%#@*?|<>; \t\n-+.0e_ä雪"
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(SPECIAL), max_size=16)
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True).map(lambda key: f"{key}_")
NAMES = ("mïne it's a&b [z] {z} (x)", '${HOME},a=b "q" 100% ~x', "tail\\", "0.5")
"""What folders are called, and what some grammar on the way to Hydra, OmegaConf or a launcher gives a meaning."""


def parsed(override: str) -> Any:
    """The value that Hydra's parser reads."""
    (read,) = PARSER.parse_overrides([override])
    return read.value()


def resolved(value: Any) -> Any:
    """What OmegaConf makes of a value in a configuration."""
    config = OmegaConf.create({"key": None})
    OmegaConf.update(config, "key", value, merge=False)
    return OmegaConf.to_container(config, resolve=True)["key"]


@given(TEXT)
@example("a\\${b}\\")
@example("\\'")
@example("true")
@example("1e-3")
@example("")
def test_any_text_survives_the_grammar(text: str) -> None:
    """Text, written as an override, is read as the same text by Hydra's parser, by OmegaConf and by us."""
    assert resolved(parsed(f"name={quote_text(text)}")) == text
    assert parsed(format_override("name", text)) == text
    assert read_text(quote_text(text)) == text
    assert resolved(parsed(code_override(f"/{text}"))) == f"/{text}"
    assert parsed(search_path_override(f"/{text}")) == [f"file:///{text}"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=6,
    )
)  # fmt: skip
def test_any_value_survives_the_grammar(value: Any) -> None:
    """Numbers, switches, null, text, lists and dicts of them are read as what they were written of."""
    read = parsed(f"key={format_value(value)}")
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("name", representatives(NAMES, NAMES[:1]))
def test_a_folder_of_any_name_serves_python_and_the_command_line(
    command: Callable[..., Any], own: Path, tmp_path: Path, name: str
) -> None:
    """Configurations, code and outputs may be called anything, and both ways run and repeat."""
    mine = own.rename(tmp_path / name)
    given = {"optimizer": ["sign", "gd"], "timing": "off", "steps": 2}
    runs = gdbench.sweep("bowl", config_dir=mine, outputs=tmp_path / f"out {name}", name="any", **given)
    words = ["-m", "objective=bowl", "optimizer=sign,gd", "timing=off", "steps=2", "--quiet"]
    outputs = format_override("outputs", f"{tmp_path}/shell")

    assert runs["status"].tolist() == ["budget"] * 2
    assert Path(runs.attrs["folder"]).is_relative_to(tmp_path / f"out {name}")
    assert Path(runs.attrs["folder"]).name.endswith("_any")
    assert command(*words, outputs, "--config-dir", str(mine)).code == 0
    (folder,) = (tmp_path / "shell").glob("*/*")
    assert gdbench.load(folder)["run_id"].tolist() == runs["run_id"].tolist()
    assert command(f"resume={quote_text(str(folder))}", "--quiet").code == 0
    again = gdbench.sweep(resume=runs.attrs["folder"])
    assert again["cell_fingerprint"].tolist() == runs["cell_fingerprint"].tolist()
    repeat = command("show", runs["run_id"][0], "--outputs", runs.attrs["folder"])
    assert "--config-dir" in repeat.out, repeat


NUMBER = st.from_regex(r"[+-]?[0-9]{0,3}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,2})?", fullmatch=True)


@given(st.lists(NUMBER | st.sampled_from(["nan", "1_0", "007", "a", "0x1"]), min_size=1, max_size=4), st.booleans())
@example(["1", "-2.5", "1e-3"], True)
@example(["1", "2", "3"], False)
def test_a_list_of_numbers_is_what_hydra_reads(numbers: list[str], is_list: bool) -> None:
    """Several numbers, read without Hydra's parser, are the very override that it reads, or refused as by it."""
    values = ",".join(numbers)
    word = f"optimizer.eps=[{values}]" if is_list else f"optimizer.eps={values}"
    try:
        (expected,) = PARSER.parse_overrides([word])
    except HydraException:
        with pytest.raises(gdbench.UsageError):
            parse_overrides([word])
        return

    assert repr(parse_overrides([word])) == repr([expected])


def test_ten_thousand_numbers_are_read_at_once() -> None:
    """A long list takes milliseconds, where Hydra's parser takes seconds."""
    word = f"lr={','.join(map(str, range(1, 10_001)))}"
    start = time.process_time()

    assert len(parse_overrides([word])[0].value().list) == 10_000
    assert time.process_time() - start < 0.5
