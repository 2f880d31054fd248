"""From text to specifications of cells: settings, axes, composition with Hydra, import by name."""
