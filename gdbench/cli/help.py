"""What ``python -m gdbench --help`` prints: usage, keys, verbs, options and exit codes, in lines of 80 columns."""

from __future__ import annotations

from gdbench import __version__

__all__ = ["HELP"]

HELP = f"""gdbench {__version__}: which gradient-descent variant, at which learning rate and
dtype, gets there first?

Usage: python -m gdbench [-m] [KEY=VALUE ...]   run, measure and compare
       python -m gdbench VERB ...               look at what there is, or ran

Run
  python -m gdbench
                    the notebook's loop: (x-2)² from 10, lr 0.1, 100 steps
  python -m gdbench -m lr=0.01,0.1
                    a sweep: two learning rates, one table
  python -m gdbench -m optimizer=gd,adam impl=manual,torch lr=1e-4,1e-3 \\
      objective=rosenbrock
  python -m gdbench -m objective=quadratic objective.condition=10,100 \\
      'lr=tag(log,interval(1e-3,1))' points=50
  python -m gdbench tune optimizer=gd,adam objective=rosenbrock steps=3000
                    the best of 100 lrs of each
  python -m gdbench objective=beale 'lr=${{logspace:-5,0,1000}}'
                    a thousand learning rates, one cell

Keys
  objective, optimizer
                    names from the lists that python -m gdbench list prints;
                    their numbers are set as objective.n=10, optimizer.beta1=0.8
  impl              auto (manual, else torch), manual (pure functions), compiled
                    (torch.compile), and torch.optim's own: torch, foreach,
                    fused, capturable (CUDA), differentiable
  schedule          lr over the steps: constant, linear, cosine, wsd,
                    inverse_sqrt, warmup_cosine ...
  clip, noise       of gradients: none, norm, value, unit; none, gaussian,
                    annealed, relative
  lr, steps, seed   lr is a number, a list, tag(log,interval(a,b)), or null for
                    the method's own default
  dtype, device     auto, float32, float64, float16, bfloat16;
                    auto, cpu, cuda, cuda:N, mps
  target, target_loss
                    the relative gap, or the absolute loss, that "steps to
                    target" refers to
  metric            what tune and Optuna rank by: steps_to_target,
                    gradient_evals_to_target, time_to_target, steps_to_settle,
                    final_gap, best_gap, final_loss, best_loss; what stays goes
                    before what left
  trials            how many points tune tries for each method, as many for all
                    (100 of one range)
  timing            quick (0.5 s a cell), full (5 s), off
  hydra/launcher    joblib, submitit_local, submitit_slurm, ray: one job a cell,
                    elsewhere; same table
  name, resume, retry
                    the same command under the same name=, or resume=FOLDER
                    alone, runs only what is missing or stale; retry=failed also
                    what failed
  trace, threads, outputs, start_noise, lr_scale, lr_scale_of, points,
  experiment, tracker

Verbs
  plan [-m] [KEY=VALUE ...]
                    the cells of a sweep, done, failed, stale or missing, and
                    how long they will take
  list objectives|optimizers
                    all there are, with source; of CUTEst: list objectives
                    --cutest
  show [SWEEP] [--each]
                    the table of a sweep again, of the newest if none is named
  show RUN [--rerun]
                    everything about a run, and the command that repeats it; or
                    repeat it and compare
  diff A B          what differs between two sweeps or runs: settings,
                    environment, source, result
  report [FOLDER ...] [--open]
                    a page, pictures and tables of one or many sweeps; --format
                    md prints to the terminal
  compare A B       two sweeps side by side: what became better or worse
  export TRACKER FOLDER [--uri]
                    copy a sweep to mlflow, wandb, trackio or tensorboard
                    (tracker=NAME does so each time)
  columns           what each column of the tables means
  gate [--base REF] did your change make an optimizer worse, busier or slower?
                    For CI: gate --help
  tune [KEY=VALUE ...]
                    the best of as many lrs of each method (and of
                    'optimizer.momentum=interval(0,0.99)')
  runs [QUERY ...]  all sweeps that ran: runs optimizer=adam 'lr<0.1' since=7d;
                    also --csv, --json, --sql
  watch [FOLDER]    a sweep while it runs, here or elsewhere: how far, how long
                    still, the best so far
  name SWEEP NAME   what to call a sweep, here and in the verbs below
  tag SWEEP TAG ... words to find it by: runs tag=TAG
  note SWEEP TEXT   what there is to say of it
  rm SWEEP ...      remove sweeps for good (asks)
  archive SWEEP ... [--to FILE]
                    sweeps as one file, with hashes, to move elsewhere
  unarchive FILE    put them back, each file checked

Options
  -m, --multirun    commas make a sweep: over lr, seed and the optimizer's
                    numbers as lanes, over all else as cells
  --config-dir DIR  a folder of your own with objective/*.yaml, optimizer/*.yaml
                    and the Python modules they name
  hydra/sweeper=optuna
                    with -m: Optuna proposes the cells
                    (hydra.sweeper.n_trials=20; pip install -e '.[optuna]')
  --each            a row for every run, not one for all seeds of a
                    configuration
  --quiet, --json   no table; the rows as JSON on standard output
  --trust           with resume=FOLDER alone: run what a folder that somebody
                    else made names, which is listed first
  --cfg job         print the configuration and run nothing (--resolve);
                    --hydra-help: all of Hydra's options
  --version, --help

Shell completion: eval "$(gdbench -sc install=bash)"; also zsh and fish.
Exit codes: 0 all ran, or some were unavailable here (the last line says how
many and why); 1 a run failed, or none could run; 2 a mistake in the command,
such as a device that no cell finds, or a file that cannot be read or written;
130 interrupted; of gate: 0 passed, 1 a regression, 2 a mistake, 3 inconclusive,
4 something was not measured. A pipe whose reader leaves changes none of them.
"""
