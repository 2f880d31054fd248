"""What each command of README and docs prints, in the words that its page promises; and what no test carries out.

A command stands here as it does in its document, with single blanks. ``documents.Reader`` looks for its words in what
was printed; ``test_every_command_has_its_words_or_its_reason`` holds that none is missing and none is left over.
"""

from __future__ import annotations

__all__ = ["NOT_OURS", "PROMISES"]

GDBENCH = "python -m gdbench"
NOT_OURS = {
    "pip install": "changes an environment: the extras that are named must exist, and .ci/run installs from nothing",
    "python -m venv": "as before",
    "source ": "as before",
    "pre-commit ": "downloads nothing, but writes into the checkout's hooks",
    "python -m pytest": "the suite itself",
    "python tests/speed/": "hours of measuring",
    "python -m coverage": "an hour of both tiers, and no dependency",
    "torchrun ": "starts processes of distributed torch: tests/sweeps/test_torchrun.py says what they do",
    "ruff ": "CI runs it",
    "mypy": "CI runs it",
    "bash .ci/run": "CI itself",
    "python -m mkdocs": "a server: .ci/run builds the site",
    "git ": "carried out beside the commands of gdbench",
    "sed ": "as before",
}
"""How a command begins that is none of gdbench's, and who carries it out instead."""

_PROMISES = {
    # README
    "lr=0.01,0.1": ("2 runs", "Best", "Files: outputs/"),
    "optimizer=gd,adam impl=manual,torch lr=0.01,0.1,1.1": ("12 runs", "diverged", "Best", "report outputs/"),
    "": ("1 run", "notebook_manual", "Files: outputs/"),
    "objective=rosenbrock optimizer=gd,momentum,adam,lbfgs impl=manual,torch lr=1e-4,1e-3": (
        "16 runs",
        "2 of 16 runs have no result: 2 unavailable (optimizer=lbfgs has no manual implementation; try impl=torch)",
    ),
    "objective=quadratic objective.condition=10,1000 'lr=tag(log,interval(1e-3,1))' points=50": ("100 runs",),
    "objective=logistic optimizer=gd lr=null lr_scale_of=L lr_scale=0.5,1,1.9,2.1 steps=1000": ("4 runs",),
    "optimizer=momentum optimizer.momentum=0.5,0.9,0.99 dtype=float32,float64": ("6 runs", "float64"),
    "objective=mlp optimizer=adam seed=0,1,2,3 timing=off": ("4 runs",),
    "list objectives": ("rosenbrock ", "bbob_f01_sphere"),
    "list optimizers adam": ("default lr", "optimizer.beta1", "torch.optim.Adam(torch)"),
    "list columns": ("steps_to_target", "final_gap"),
    "show": ("Best", "Files: outputs/"),
    "show dac917": ("# configuration", "# command that repeats it", GDBENCH),
    "--help": ("Usage: python -m gdbench", "Exit codes: 0 all ran"),
    "optimizer=gd,adam lr=0.01,0.1 name=mine": ("4 runs",),
    "resume=outputs/2026-11-23/09-54-14_mine": ("Going on with outputs/2026-11-23/09-54-14_mine",),
    "resume=outputs/2026-11-23/09-54-14_mine retry=failed": ("Going on with outputs/2026-11-23/09-54-14_mine",),
    "optimizer=gd,adam lr=0.01,0.1 name=mine --dry-run": ("2 cells", "done"),
    "tune optimizer=momentum,nesterov 'optimizer.momentum=interval(0,0.99)' objective=quadratic": ("tuned for",),
    "tune optimizer=gd,adam 'lr=tag(log,interval(1e-4,1))' seed=0,1,2 start_noise=0.1": ("tuned for", "3 seeds"),
    "tune optimizer=gd,adam metric=final_gap trials=200": ("tuned for the lowest final gap", "200 trials each"),
    "-m hydra/sweeper=optuna optimizer=gd,adam 'lr=tag(log,interval(1e-4,10))' hydra.sweeper.n_trials=30": (
        "Best of 30 trials",
    ),
    "report --open": ("report.html", "figures", "tables", "report.md"),
    "report outputs/2026-11-23/* --to report": ("report/report.html",),
    "report --format md": ("# ", "|"),
    "report --format latex": ("\\begin{tabular}",),
    "compare outputs/2026-11-23/A outputs/2026-11-23/B --open": ("outputs/compare/", "Run by run: "),
    "reproduce RUN": ("Reproduced: ",),
    "compare A B --settings": ("Nothing differs in configuration, environment or exact results.",),
    "sweeps optimizer=adam status=target": ("in outputs",),
    "sweeps": ("in outputs", "best"),
    "sweeps optimizer=adam,gd 'lr<0.1' since=7d --sort -runs": ("in outputs",),
    "sweeps --json objective='rosen*' steps_to_target!=null": ("[",),
    "sweeps watch": (),
    "sweeps label 2026-11-23/09-54-14_sweep --name baseline": ("name baseline",),
    'sweeps label baseline --tag paper,keep --note "before the new line search"': (
        "tags keep paper",
        "before the new line search",
    ),
    "sweeps archive baseline --to baseline.zip": ("baseline.zip: ", "sweeps restore baseline.zip"),
    "sweeps restore baseline.zip --outputs elsewhere": ("elsewhere/",),
    "sweeps rm baseline --yes": ("09-54-14_sweep",),
    "objective=rosenbrock optimizer=adam impl=manual,torch schedule=constant,cosine,wsd lr=0.01,0.1": (
        "12 runs",
        "cosine",
    ),
    "optimizer=gd noise=gaussian noise.sigma=0.5 clip=norm clip.max_norm=1 seed=0,1,2": ("3 runs",),
    "--config-dir mine -m objective=bowl optimizer=signed,gd lr=0.01,0.1": ("4 runs", "signed"),
    "gate --config-dir mine --time off": ("signed", "report: "),
    "gate accept 'signed *' --reason 'sign(0) is 0 now'": ("accepted: signed", "Commit gate/accepted.csv"),
    "objective=digits_mlp optimizer=adam,momentum lr=0.003,0.03 seed=0,1,2 steps=200 timing=off": (
        "12 runs",
        "test accuracy",
    ),
    # docs/how-to/cluster.md
    "-m optimizer=gd,adam lr=0.01,0.1 timing=off name=wide --dry-run": ("2 cells", "4 runs"),
    "-m optimizer=gd,adam lr=0.01,0.1 timing=off name=wide": ("4 runs",),
    "sweeps watch wide": (),
    "-m optimizer=gd,adam timing=off max_seconds=60 max_sweep_seconds=3600": ("2 runs",),
    # docs/how-to/gate.md and docs/tutorial.md
    "gate --base HEAD --config-dir mine --time off": ("report: ",),
    "gate accept 'signed *' --reason 'callers may keep the gradient'": ("accepted: signed", "Commit gate/accepted.csv"),
    # docs/how-to/objective.md and optimizer.md
    "--config-dir mine -m timing=off objective=shifted_quartic objective.n=3,30 optimizer=gd,adam lr=0.01,0.1": (
        "8 runs",
    ),
    "list objectives --config-dir mine": ("shifted_quartic ",),
    "--config-dir mine -m timing=off lr=null optimizer=averaged_signs,signum optimizer.momentum=0.5,0.9": ("4 runs",),
    "optimizer=torch.optim.AdamW,adam impl=torch optimizer.weight_decay=0.0 lr=0.01,0.1 timing=off": (
        "4 runs",
        "torch.optim.AdamW",
    ),
    "--config-dir mine -m optimizer=halved,gd impl=torch lr=0.1 timing=off": ("2 runs", "halved"),
    "--config-dir mine optimizer=plain lr=0.1 timing=off": ("1 run", "plain"),
    # docs/how-to/training.md
    "--config-dir mine -m objective=digits optimizer=adamw impl=torch timing=off steps=200 seed=0,1,2 lr=1e-3,1e-2"
    " schedule=warmup_cosine clip=norm": ("6 runs", "adamw"),
    "--config-dir mine objective=digits optimizer=adamw impl=torch lr=1e-3 timing=off optimizer.weight_decay=0.1"
    " 'optimizer.groups={no_decay:{weight_decay:0.0}}'": ("1 run", "adamw"),
    "-m objective=digits_mlp optimizer=adam,momentum lr=0.01 seed=0,1,2 steps=200 timing=off judge_every=20"
    " 'target_metric=\"held_out.accuracy>=0.95\"'": ("6 runs", "held-out accuracy"),
    "--config-dir lab objective=noisy_digits optimizer=sign_descent lr=1e-3,3e-3 seed=0,1,2 steps=400"
    " schedule=warmup_cosine timing=off 'target_metric=\"held_out.accuracy>=0.9\"'": ("6 runs: 3 target, 3 budget",),
    "gate --base HEAD --config-dir lab --time off": ("sign_descent torch noisy_digits", "final loss: ", "FAILED"),
    "-m objective=digits_mlp optimizer=adam lr=0.01 seed=0,1,2 steps=200 timing=off average=ema,swa"
    " average.start=0.5": ("6 runs", "ema", "swa"),
    "objective=digits_mlp optimizer=adam lr=0.01 seed=0,1,2 steps=200 timing=off keep=best": ("3 runs",),
    "tune objective=digits_mlp optimizer=momentum,adam seed=0,1,2 steps=200 judge_every=20 timing=off"
    " lr=1e-3,3e-3,1e-2,3e-2,1e-1 metric=held_out.accuracy": (
        "tuned for the highest held-out accuracy",
        "test accuracy",
    ),
    # docs/how-to/trackers.md
    "lr=0.01,0.1 timing=off name=first tracker=tensorboard": ("2 runs",),
    "lr=0.01,0.1,0.3 timing=off name=second": ("3 runs",),
    "export tensorboard second": ("tensorboard: 3 runs added", "Look: "),
    "sweeps optimizer=gd 'lr<0.2' since=7d": ("in outputs",),
    "sweeps label second --tag paper": ("tags paper",),
    "compare first second --settings": ("a: ", "b: ", "Configuration"),
    "compare first second": ("outputs/compare/", "Run by run: ", "Open in a browser"),
    # docs/index.md and docs/tutorial.md
    "optimizer=gd,adam impl=manual,torch lr=0.01,0.1": ("8 runs", "Best"),
    "report": ("report.html",),
    "lr=0.01,0.1,0.3,1.1": ("4 runs", "diverged", "Best"),
    "optimizer=gd,momentum,adam impl=manual,torch lr=0.01,0.1": ("12 runs", "Best"),
    "objective=rosenbrock optimizer=adam timing=off 'lr=${logspace:-5,0,1000}'": ("1,000 runs",),
    "--config-dir mine -m timing=off optimizer=brake,momentum,gd lr=0.01,0.1": ("6 runs", "brake"),
    "--config-dir mine -m name=brake timing=off steps=1000 --quiet objective=quadratic,rosenbrock"
    " optimizer=brake,momentum,gd 'lr=tag(log,interval(1e-4,1))' points=30": (),
    "tune --config-dir mine objective=rosenbrock steps=1000 optimizer=brake,momentum,gd": ("tuned for", "brake"),
    "report brake --format md": ("brake",),
    "report brake --to page": ("page/report.html",),
}
PROMISES = {f"{GDBENCH} {words}".strip(): promised for words, promised in _PROMISES.items()}
"""The words that a command prints, by the command; none where what it prints depends on when it is asked."""
