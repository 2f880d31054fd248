"""What ``python -m gdbench --help`` prints, in lines of at most 80 characters; and the names of all verbs."""

from __future__ import annotations

from gdbench import __version__

__all__ = ["FORMER_VERBS", "GROUPS", "HELP", "KINDS", "VERBS"]

VERBS = ("run", "tune", "report", "compare", "show", "reproduce", "export", "list", "sweeps", "gate")
GROUPS = ("gate", "sweeps")
"""Verbs with further verbs below them."""
KINDS = ("objectives", "optimizers", "columns")
"""What ``list`` lists."""
FORMER_VERBS = {
    "plan": "run --dry-run",
    "diff": "compare A B --settings",
    "columns": "list columns",
    "runs": "sweeps",
    "watch": "sweeps watch",
    "name": "sweeps label SWEEP --name NAME, or the setting name=NAME",
    "tag": "sweeps label SWEEP --tag TAG",
    "note": "sweeps label SWEEP --note TEXT",
    "label": "sweeps label",
    "archive": "sweeps archive",
    "unarchive": "sweeps restore",
    "restore": "sweeps restore",
    "rm": "sweeps rm",
}
"""What to write in place of a verb of earlier versions, or of one that stands below ``sweeps``."""

HELP = f"""gdbench {__version__}: which gradient-descent variant, at which learning rate and
dtype, gets there first?

Usage: python -m gdbench [run] [KEY=VALUE ...]        run, measure and compare
       python -m gdbench VERB ...                     work with the results

Run
  python -m gdbench
                    the notebook's loop: (x-2)² from 10, lr 0.1, 100 steps
  python -m gdbench lr=0.01,0.1
                    a sweep: two learning rates, one table
  python -m gdbench optimizer=gd,adam impl=manual,torch lr=1e-4,1e-3 \\
      objective=rosenbrock
  python -m gdbench objective=quadratic objective.condition=10,100 \\
      'lr=tag(log,interval(1e-3,1))' points=50
  python -m gdbench tune optimizer=gd,adam objective=rosenbrock steps=3000
                    the best of 100 learning rates of each optimizer
  python -m gdbench objective=beale 'lr=${{logspace:-5,0,1000}}'
                    a thousand learning rates in one cell

Keys
  objective, optimizer
                    names as python -m gdbench list prints them; their settings
                    are written objective.n=10, optimizer.beta1=0.8
  impl              auto (manual, else torch), manual (pure functions), compiled
                    (torch.compile), and torch.optim's own: torch, foreach,
                    fused, capturable (CUDA), differentiable
  schedule          lr over the steps: constant, linear, cosine, wsd,
                    inverse_sqrt, warmup_cosine ...
  clip, noise       gradient clipping: none, norm, value, unit; gradient noise:
                    none, gaussian, annealed, relative
  average           weights averaged for judging alone: none, ema, swa
  lr, steps, seed   lr is a number, a list, tag(log,interval(a,b)), or null for
                    the method's own default
  dtype, device     auto, float32, float64, float16, bfloat16;
                    auto, cpu, cuda, cuda:N, mps
  target, target_loss
                    the relative gap, or the absolute loss, that "steps to
                    target" refers to
  target_metric, judge_every
                    of training: the metric to reach, such as
                    'held_out.accuracy>=0.95', and how often it is judged
  exact             true: find steps_to_target between two judgements
  keep              best: of training, the weights of the step that held-out
                    data select, as safetensors
  metric            what tune and Optuna rank by: steps_to_target,
                    gradient_evals_to_target, time_to_target, steps_to_settle,
                    final_gap, best_gap, final_loss, best_loss; runs that stay
                    at the target rank before runs that left it again;
                    of training held_out.accuracy, final.held_out.loss ...
  trials            how many points tune tries for each method, equally many for
                    all (100 for one range)
  timing            quick (0.5 s a cell), full (5 s), off
  hydra/launcher    joblib, submitit_local, submitit_slurm, ray: each cell runs
                    as a job of its own; the table is the same
  name, resume, retry
                    the same command under the same name=, or resume=FOLDER
                    alone, runs only what is missing or stale; retry=failed also
                    what failed
  max_seconds, max_sweep_seconds
                    limits, by the clock, of a cell and of the whole sweep; what
                    does not end in time is a row with the status timeout
  trace, threads, outputs, start_noise, lr_scale, lr_scale_of, points,
  experiment, tracker

Verbs (python -m gdbench VERB --help explains one)
  run [KEY=VALUE ...] [--dry-run]
                    a run or a sweep; the word run may be left out. --dry-run
                    lists the cells (done, failed, stale or missing) and how
                    long they will take
  tune [KEY=VALUE ...]
                    the best of equally many learning rates of each method (and
                    of 'optimizer.momentum=interval(0,0.99)')
  report [SWEEP ...] [--open]
                    a page, figures and tables of one or many sweeps; --format
                    md prints to the terminal
  compare A B       two sweeps side by side: what became better or worse;
                    --settings: what differs in settings, environment, source
  show [SWEEP]      the table of a sweep again, of the newest if none is named
  show RUN          everything about a run, and the command that repeats it
  reproduce RUN     repeat a run: is every deterministic column the same?
  export TRACKER SWEEP [--uri]
                    copy a sweep to mlflow, wandb, trackio or tensorboard
                    (tracker=NAME does so after every sweep), or to the JSON of
                    pytest-benchmark
  list objectives|optimizers|columns [NAME]
                    all objectives and optimizers, with source (of CUTEst: list
                    objectives --cutest); what each column of a table means;
                    with a NAME its settings, minimum or implementations
  sweeps [QUERY ...]
                    past sweeps: sweeps optimizer=adam 'lr<0.1' since=7d; also
                    --csv, --json, --sql
  sweeps watch [SWEEP]
                    a running sweep: cells done, time left, the best so far
  sweeps label SWEEP [--name NAME] [--tag TAG] [--note TEXT]
                    a name that can be used in place of the folder, tags to
                    find it by (sweeps tag=TAG), a note
  sweeps archive SWEEP ... [--to FILE], sweeps restore FILE
                    sweeps in one file, with hashes, to move them elsewhere
  sweeps rm SWEEP ...
                    remove sweeps for good (asks first)
  gate [--base REF] did a change make an optimizer converge worse, do more work
                    a step, or run slower? For CI: gate --help

Options
  -m, --multirun    a sweep, which several values (lr=0.01,0.1) are without it:
                    lr, seed and numbers of the optimizer become lanes of one
                    cell, all else becomes cells; --run forbids it
  --dry-run         list the cells, and run nothing
  --config-dir DIR  a folder of your own with objective/*.yaml, optimizer/*.yaml
                    and the Python modules they name
  hydra/sweeper=optuna
                    in a sweep: Optuna proposes the cells
                    (hydra.sweeper.n_trials=20; needs
                    pip install -c constraints.txt -e '.[optuna]')
  --all-runs        one row per run, instead of one for all seeds of a
                    configuration
  --quiet           print no progress and no table
  --json            print the result as JSON; every verb has it
  --outputs DIR     the folder of sweeps that a verb looks in (outputs); a run
                    writes to outputs=DIR
  --trust           with resume=FOLDER alone: run the code that a folder made by
                    somebody else names; without it that code is only listed
  --cfg job         print the configuration and run nothing (--resolve);
                    --hydra-help: all of Hydra's options
  --version, --help

Shell completion: eval "$(gdbench -sc install=bash)"; also zsh and fish.
Exit codes: 0 all ran, or some were unavailable here (the last line says how
many and why); 1 a run failed, or none could run; 2 a mistake in the command,
such as a device that no cell finds, or a file that cannot be read or written;
130 interrupted, 143 and 129 ended by SIGTERM or SIGHUP. Of gate: 0 passed, 1 a
regression, 2 a mistake, 3 inconclusive, 4 something was not measured. A pipe
closed by its reader changes none of them.
"""
