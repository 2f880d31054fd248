"""What must hold for gdbench to be quick, and can be told without a clock; tests/speed holds what needs one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.processes import Done
from support.tiers import representatives

UNNEEDED = {"torch._dynamo", "torch._inductor", "sympy", "sklearn", "scipy", "matplotlib"}
UNNEEDED |= {
    f"gdbench.objectives.{family}"
    for family in ("bbob", "classical", "cutest", "classification", "mgh", "multimodal_nd")
}
UNNEEDED |= {
    f"gdbench.optimizers.{family}"
    for family in ("adam", "line_search", "adafactor", "muon", "shampoo", "torch_muon_adamw")
}
RUN = """
import sys
from gdbench.cli.main import main
code = main([{words}])
print(code, *sorted({unneeded} & set(sys.modules)))
"""


@pytest.mark.parametrize("timing", representatives(["quick", "off"], ["off"]))
def test_a_sweep_by_hand_loads_neither_a_compiler_nor_data_sets(shell: Callable[..., Done], timing: str) -> None:
    """A sweep with impl=manual imports none of what takes half a second and more, nor a family that is not named.

    A fork shows it: it has loaded what every sweep does, and so has no less than a real start.
    """
    words = f"'-m', 'lr=0.01,0.1', 'timing={timing}', '--quiet'"
    code = RUN.format(words=words, unneeded=UNNEEDED)

    assert shell("-c", code) == (0, "0\n", "")
