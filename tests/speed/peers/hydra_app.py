"""What one writes by hand: gradient descent on Rosenbrock's valley as a Hydra app, one job a learning rate."""

import json
from pathlib import Path

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(config: DictConfig) -> float:
    """Descend from (-1.2, 1) and keep the final loss in the job's own folder."""
    x = torch.tensor([-1.2, 1.0], requires_grad=True)
    for _ in range(config.steps):
        loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
        loss.backward()
        with torch.no_grad():
            x -= config.lr * x.grad
        x.grad = None
    final = float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "result.json").write_text(json.dumps({"lr": config.lr, "loss": final}))
    return final


if __name__ == "__main__":
    main()
