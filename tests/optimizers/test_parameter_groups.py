"""Parameter groups by rule: which parameters a rule matches, and methods that share one gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gdbench import UsageError
from gdbench.errors import Unavailable
from gdbench.optimizers import Method
from gdbench.optimizers.adam import adamw
from gdbench.optimizers.method_groups import group_methods
from gdbench.optimizers.parameter_free import prodigy
from gdbench.optimizers.parameter_groups import assign_groups, parse_rules
from gdbench.optimizers.sgd import gd


class ScaleNorm(nn.Module):
    """A normalisation of one's own, known by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


class Model(nn.Module):
    """Layers of every kind; the output layer is tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.attend = nn.MultiheadAttention(4, 2)
        self.conv = nn.Conv1d(4, 4, 3)
        self.norm = nn.LayerNorm(4)
        self.own = ScaleNorm()
        self.out = nn.Linear(4, 7)
        self.out.weight = self.embed.weight


MODEL = Model()
POINT: dict[str, Tensor] = {name: leaf.detach() for name, leaf in MODEL.named_parameters()}
BIASES = ["attend.in_proj_bias", "attend.out_proj.bias", "conv.bias", "out.bias"]
NORMS = ["norm.weight", "norm.bias", "own.scale"]
MATRICES = ["attend.in_proj_weight", "attend.out_proj.weight", "conv.weight"]


@pytest.mark.parametrize(
    ("rule", "names"),
    {
        "bias": BIASES,
        "norm": NORMS,
        "no_decay": BIASES + NORMS,
        "matrix": MATRICES,
        "vector": BIASES + NORMS,
        "embedding": ["embed.weight"],
        "name:^out": ["out.bias"],
        "name:proj.*weight$": MATRICES[:2],
    }.items(),
)
def test_a_rule_matches_by_class_name_and_shape(rule: str, names: list[str]) -> None:
    """Biases, norms, matrices and embeddings are found in any module; all others are the rest."""
    first, rest = assign_groups({rule: {"lr": 1.0}}, POINT, MODEL)

    assert (first.rule, sorted(first.names), first.options) == (rule, sorted(names), {"lr": 1.0})
    assert (rest.rule, rest.options) == ("other", {})
    assert sorted(first.names + rest.names) == sorted(POINT)


def test_other_has_options_too() -> None:
    """The rest may have options of its own, and comes last."""
    groups = assign_groups({"other": {"lr": 2.0}, "bias": {"lr": 1.0}, "norm": {"lr": 3.0}}, POINT, MODEL)

    assert [(group.rule, group.options["lr"]) for group in groups] == [("bias", 1.0), ("norm", 3.0), ("other", 2.0)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bais": {"lr": 1}}, "bais is not a rule. Did you mean bias? Allowed: bias, norm, no_decay,"),
        ({"name:(": {"lr": 1}}, r"name:( is not a regular expression"),
        (
            {"name:^head": {"lr": 1}},
            "name:^head matches none of the 11 parameters (embed.weight, attend.in_proj_weight,",
        ),
        ({"bias": {"lr": 1}, "name:^out": {"lr": 1}}, "bias and name:^out both match the parameter out.bias, which"),
        ({"bias": {"lr": 1, "lr_scale": 2}}, "groups.bias has lr and lr_scale: give one of them"),
        ({"bias": {"lr": "fast"}}, "groups.bias.lr=fast must be a number from 0 upward."),
        ({"bias": {}}, "groups.bias={} must map options to values, such as {weight_decay: 0.0}."),
        ("no_decay", "groups=no_decay must map rules to options, as in optimizer.groups={no_decay:"),
        ([1], "groups=[1] must map rules to options"),
    ],
)
def test_a_mistake_is_one_line(given: Any, message: str) -> None:
    """What came, what is allowed and what to do: for rules, options and parameters that two rules match."""
    with pytest.raises(UsageError) as error:
        assign_groups(parse_rules(given), POINT, MODEL)

    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_rules_are_read_from_text() -> None:
    """The command line has no quotes for keys: rules may be given as the text of a mapping."""
    assert parse_rules('{"name:^head": {"lr": 0.1}}') == {"name:^head": {"lr": 0.1}}


class Quadratic:
    """f(x) = |x|^2 / 2 over all leaves."""

    laned, full, split = False, None, None

    def grad(self, x: Any, k: Any) -> tuple[Tensor, Any]:
        """Its value and gradient."""
        return sum((leaf.square().sum() for leaf in x.values()), torch.zeros(())) / 2, dict(x)  # type: ignore[return-value]


def descend(method: Method, x: dict[str, Tensor]) -> dict[str, Tensor]:
    """The point after five steps."""
    state = method.begin(x, False)
    for k in range(5):
        x, state, _ = method.step(Quadratic(), k, x, state)  # type: ignore[arg-type, assignment]
    return x


def test_every_group_moves_as_it_would_by_itself() -> None:
    """A grouped method gives each part the points that its own method gives that part."""
    x = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[3.0]]), "c": torch.tensor(4.0)}
    first, second = adamw(0.1, weight_decay=0.5), gd(0.2)
    together = descend(group_methods([first, second], [["a", "c"], ["b"]]), x)

    assert list(together) == ["a", "b", "c"]
    apart = {**descend(first, {"a": x["a"], "c": x["c"]}), **descend(second, {"b": x["b"]})}
    assert all(torch.equal(together[name], apart[name]) for name in x)


def test_a_method_with_numbers_over_all_parameters_is_not_grouped() -> None:
    """Where an update depends on all tensors, groups would change what it is: that is said."""
    with pytest.raises(Unavailable, match="needs a method that updates every tensor by itself"):
        group_methods([prodigy(1.0), prodigy(1.0)], [["a"], ["b"]])
