from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from support.tiers import representatives

from gdbench.config.compose import CONFIG_NAME, Composer, lock_hydra, prepare_hydra, to_plain
from gdbench.config.config_folders import config_folder
from gdbench.config.libyaml import read_config, to_yaml
from gdbench.config.schema import AROUND, Settings


@pytest.fixture
def ready() -> Any:
    """Hydra ready to compose."""
    with prepare_hydra(), initialize_config_dir(str(config_folder()), version_base="1.3"):
        yield


WORDS = [
    [],
    ["lr=0.5"],
    ["lr=1"],
    ["lr=1e-3"],
    ["lr=null", "lr_scale=2"],
    ["lr=[0.1,0.2]"],
    ["lr='tag(log,interval(1e-4,1))'", "points=7"],
    ["optimizer=adam"],
    ["optimizer=adam", "optimizer.beta1=0.5", "optimizer.amsgrad=true"],
    ["optimizer.beta1=0.5", "optimizer=adam"],
    ["optimizer=adam", "optimizer.eps=0", "optimizer.weight_decay=[0,0.1]"],
    ["optimizer=adam", "optimizer.manual._target_=my.adam"],
    ["objective=rosenbrock", "objective.n=5", "steps=1000"],
    ["objective=quadratic", "objective.spectrum=uniform", "objective.condition=1e3"],
    ["+objective.mine=3"],
    ["++objective.mine={a:1,b:[2,3]}"],
    ["+optimizer.mine=x", "optimizer.weight_decay=0.1"],
    ["~optimizer.weight_decay"],
    ["name=a", "name=b"],
    ["name='with space, comma'"],
    ["name='${dtype}'", "dtype=float64"],
    ["timing=off", "threads=2"],
    ["timing=full", "timing.seconds=1"],
    ["target_loss=-1.5", "target=0", "start_noise=1e-2"],
    ["outputs=/some/where", "trace=full", "impl=torch", "device=cpu", "seed=3"],
    ["experiment=notebook"],
    ["part={folder:'/a',cell:3}"],
]
"""Command lines of every form that a value, a choice and a deletion may have."""


@pytest.mark.parametrize("stride", representatives([1, 4], [4]))
def test_the_short_way_composes_what_hydra_composes(ready: None, stride: int) -> None:
    """Setting values on a cached base gives the configuration and the choices that Hydra's own composition gives."""
    composer = Composer()  # one for all: what is set for one cell must not be seen in the next
    for overrides in WORDS[::stride]:
        whole = compose(CONFIG_NAME, overrides=overrides, return_hydra_config=True)
        choices = OmegaConf.to_container(whole.hydra.runtime.choices)
        composer(["lr=123", *overrides])  # leaves a base behind, which must come to no harm
        composed = composer(overrides)

        assert composed.choices == choices, overrides
        shown = {key: value for key, value in to_plain(whole).items() if key != "hydra"}
        assert to_plain(composed.config) == shown, overrides


@pytest.mark.parametrize("overrides", [["lrr=1"], ["optimizer.beta1=0.5"], ["objective=rosenbrock", "objective.m=1"]])
def test_the_short_way_refuses_what_hydra_refuses(overrides: list[str], ready: None) -> None:
    """A key that is not there is an error on both ways."""
    with pytest.raises(ConfigCompositionException):
        compose(CONFIG_NAME, overrides=overrides)
    with pytest.raises(Exception, match=r"is not a setting"):
        Composer()(overrides)


def test_one_composition_serves_all_values_of_a_choice_of_groups(ready: None) -> None:
    """A hundred values need one composition; each other choice of groups needs one more."""
    composer = Composer()
    for step in range(1, 101):
        composer([f"steps={step}", "lr=0.5"])
    assert len(composer.composed) == 1

    for name in ("adam", "gd", "adam"):
        composer([f"optimizer={name}", "steps=3"])
    assert len(composer.composed) == 3


def test_a_cell_does_not_see_the_values_of_another(ready: None) -> None:
    """Values set for one cell never leak into the next, not even inside a list or a group."""
    composer = Composer()
    first = composer(["optimizer=adam", "optimizer.beta1=0.5", "lr=[1,2]"])
    first.config.optimizer.eps = 99
    second = to_plain(composer(["optimizer=adam"]).config)

    assert (second["optimizer"]["beta1"], second["optimizer"]["eps"], second["lr"]) == (0.9, 1e-8, 0.1)


def test_an_app_around_us_keeps_its_hydra(tmp_path: Path) -> None:
    """Inside of somebody else's Hydra app we compose with ours, and hand theirs back, also after an error."""
    (tmp_path / "mine.yaml").write_text("mine: 1\n")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        theirs = GlobalHydra.instance().hydra
        with lock_hydra():
            assert Composer()(["lr=0.5"]).config.lr == 0.5
        with pytest.raises(ZeroDivisionError), lock_hydra():
            raise ZeroDivisionError

        assert GlobalHydra.instance().hydra is theirs
        assert compose("mine").mine == 1


def test_the_schema_and_the_configuration_state_the_same_defaults() -> None:
    """A scalar's default in config.yaml is that of the schema, and the schema knows every key of config.yaml."""
    shipped = yaml.safe_load((config_folder() / "config.yaml").read_text())
    ours = {key: value for key, value in shipped.items() if key not in ("defaults", "hydra", "optimizer")}
    schema = vars(Settings())

    assert {key: schema[key] for key in ours} == ours
    assert set(schema) - set(ours) == {"objective", "optimizer", "timing", *AROUND, "code", "part"}


def test_every_shipped_configuration_opens_with_what_it_is() -> None:
    """The first line of each file is a comment that a listing can show, or a package directive."""
    assert not [path for path in sorted(config_folder().rglob("*.yaml")) if not path.read_text().startswith("# ")]


def test_libyaml_reads_every_shipped_configuration_as_omegaconf_does() -> None:
    """Whichever parser reads a file, its values and their types are the same."""
    files = sorted(config_folder().rglob("*.yaml"))
    slow = [repr(OmegaConf.load(file)) for file in files]
    fast = [repr(read_config(io.StringIO(file.read_text()))) for file in files]

    assert fast == slow


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text("1e-._:' #on\né~$", max_size=6),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_a_configuration_is_written_as_omegaconf_writes_it(config: dict[str, Any]) -> None:
    """The YAML of a cell is OmegaConf's own, to the letter, whatever stands in it, and is read back as such."""
    text = to_yaml(config)
    assert text == OmegaConf.to_yaml(OmegaConf.create(config))
    assert repr(read_config(io.StringIO(text))) == repr(OmegaConf.create(text))
