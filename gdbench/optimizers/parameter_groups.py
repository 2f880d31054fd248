"""Parameter groups by rule: which parameters share options of their own, such as no weight decay on biases and norms.

``optimizer.groups`` maps rules to options: ``{no_decay: {weight_decay: 0.0}, "name:^head": {lr_scale: 10}}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]
from torch import Tensor, nn

from gdbench.errors import UsageError, did_you_mean, format_count
from gdbench.results.run_ids import is_number
from gdbench.tree import Params, leaves

__all__ = ["LR_SCALE", "ParameterGroup", "assign_groups", "build_param_groups", "parse_rules"]

LR_SCALE = "lr_scale"
"""The option by which a group's lr is that of the method times a number."""
OTHER = "other"
"""The rule for the parameters that no other rule matches."""
NAME_PREFIX = "name:"


@dataclass(frozen=True)
class ParameterGroup:
    """The parameters that a rule matches, by name, and the options in which they differ."""

    rule: str
    names: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class NamedParameter:
    """A parameter, its name, and the module that holds it, where there is one."""

    name: str
    leaf: Tensor
    owner: nn.Module | None

    @property
    def is_norm(self) -> bool:
        """Whether it belongs to a normalisation layer: one whose class has "norm" in its name."""
        return self.owner is not None and "norm" in type(self.owner).__name__.lower()

    @property
    def is_bias(self) -> bool:
        """Whether it is a bias (bias, in_proj_bias, bias_ih_l0) outside of normalisation layers."""
        return "bias" in self.name.rpartition(".")[2] and not self.is_norm

    @property
    def is_embedding(self) -> bool:
        """Whether it belongs to an embedding; a tied output layer does, if the embedding comes first."""
        return isinstance(self.owner, (nn.Embedding, nn.EmbeddingBag))


RULES: dict[str, Callable[[NamedParameter], bool]] = {
    "bias": lambda parameter: parameter.is_bias,
    "norm": lambda parameter: parameter.is_norm,
    "no_decay": lambda parameter: parameter.is_bias or parameter.is_norm,
    "matrix": lambda parameter: parameter.leaf.dim() > 1 and not parameter.is_embedding,
    "vector": lambda parameter: parameter.leaf.dim() < 2,
    "embedding": lambda parameter: parameter.is_embedding,
}
"""Rules by name: matrix is every weight with two axes or more outside of embeddings, kernels of convolutions too."""


def parse_rules(given: Any) -> dict[str, dict[str, Any]]:
    """Read ``optimizer.groups``, a mapping or its text; UsageError in one line for anything else."""
    rules = given
    if isinstance(given, str):
        try:
            rules = yaml.safe_load(given)
        except yaml.YAMLError:
            rules = None
    if not isinstance(rules, Mapping) or not rules:
        raise UsageError(
            f"optimizer.groups={given} must map rules to options, as in"
            " optimizer.groups={no_decay:{weight_decay:0.0}}; null is one group of all parameters."
        )
    parsed = {str(rule): read_options(str(rule), options) for rule, options in rules.items()}
    for rule in parsed:
        check_rule(rule)
    return parsed


def read_options(rule: str, options: Any) -> dict[str, Any]:
    """Read the options of a rule; UsageError unless they map names to values, with one way to an lr."""
    if not isinstance(options, Mapping) or not options:
        raise UsageError(
            f"optimizer.groups.{rule}={options} must map options to values, such as {{weight_decay: 0.0}}."
        )
    read = {str(name): value for name, value in options.items()}
    if "lr" in read and LR_SCALE in read:
        raise UsageError(f"optimizer.groups.{rule} has lr and lr_scale: give one of them; lr_scale multiplies the lr.")
    for name in ("lr", LR_SCALE):
        if name in read and not (is_number(read[name]) and read[name] >= 0):
            raise UsageError(f"optimizer.groups.{rule}.{name}={read[name]} must be a number from 0 upward.")
    return read


def check_rule(rule: str) -> None:
    """Raise UsageError unless a rule is known."""
    if rule.startswith(NAME_PREFIX):
        try:
            re.compile(rule.removeprefix(NAME_PREFIX))
        except re.error as error:
            raise UsageError(f"optimizer.groups: {rule} is not a regular expression ({error}).") from None
    elif rule not in (*RULES, OTHER):
        raise UsageError(
            f"optimizer.groups: {rule} is not a rule.{did_you_mean(rule, (*RULES, OTHER))}"
            f" Allowed: {', '.join((*RULES, OTHER))}, name:REGEX."
        )


def assign_groups(
    rules: Mapping[str, Mapping[str, Any]], point: Params, module: nn.Module | None = None
) -> list[ParameterGroup]:
    """Assign every parameter of a point to the group of the rule that matches it, or to the last one, of the rest.

    Raises UsageError where a rule matches no parameter, or two rules match one.
    """
    if not isinstance(point, dict):
        raise UsageError("optimizer.groups needs parameters with names, and x is one tensor: use groups=null.")
    owners = find_owners(module) if module is not None else {}
    parameters = [NamedParameter(name, leaf, owners.get(name)) for name, leaf in point.items()]
    matched = {rule: find_matches(rule, parameters) for rule in rules if rule != OTHER}
    owner_rules: dict[str, str] = {}
    for rule, names in matched.items():
        for name in names:
            if name in owner_rules:
                raise UsageError(
                    f"optimizer.groups: {owner_rules[name]} and {rule} both match the parameter {name}, which can be in"
                    " one group only: leave one of the rules out, or give a name:REGEX that matches fewer."
                )
            owner_rules[name] = rule
    matched[OTHER] = [parameter.name for parameter in parameters if parameter.name not in owner_rules]
    for rule in rules:
        if not matched[rule]:
            raise UsageError(
                f"optimizer.groups: {rule} matches none of the {format_count(len(parameters), 'parameter')}"
                f" ({shorten_names(point)}): leave it out, or give a rule that matches."
            )
    order = [rule for rule in (*(rule for rule in rules if rule != OTHER), OTHER) if matched[rule]]
    return [ParameterGroup(rule, tuple(matched[rule]), rules.get(rule, {})) for rule in order]


def find_owners(module: nn.Module) -> dict[str, nn.Module]:
    """Find the module that holds each parameter, by the parameter's name."""
    return {name: module.get_submodule(name.rpartition(".")[0]) for name, _ in module.named_parameters()}


def find_matches(rule: str, parameters: Iterable[NamedParameter]) -> list[str]:
    """Find the names of the parameters that a rule matches."""
    if rule.startswith(NAME_PREFIX):
        pattern = re.compile(rule.removeprefix(NAME_PREFIX))
        return [parameter.name for parameter in parameters if pattern.search(parameter.name)]
    return [parameter.name for parameter in parameters if RULES[rule](parameter)]


def shorten_names(point: Mapping[str, Tensor], most: int = 4) -> str:
    """List the first names of a point."""
    names = list(point)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def build_param_groups(point: Params, groups: Sequence[ParameterGroup]) -> list[Any]:
    """Build what a torch optimizer takes as ``params``: the tensors of a point, or a dict for each group."""
    if not groups or not isinstance(point, dict):
        return leaves(point)
    return [{"params": [point[name] for name in group.names], **group.options} for group in groups]
