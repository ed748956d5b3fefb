"""Labs: for each claim of the bank that can be measured, an experiment that anyone can rerun.

    from viva.labs import lab
    lab("sqrt-kappa").run(dimension=20, seeds=3)     # → Evidence; a notebook shows its figure

==============  ==================================================================================================
`declare`       what a lab is: `Lab`, its parameters (`Param`), what it measures (`Measure`), its claims (`Claim`)
`criteria`      how measured numbers become supported, refuted or inconclusive
`experiments`   the labs, one file each
`runner`        parameters in, `Evidence` out: seeds, progress, cancelling
`evidence`      what a run found: numbers, verdicts, figures, and the versions and machine behind them
`figures`       lines, bars and points in Viva's hand, over Altair; PNG, SVG and HTML
`theme`         their colours, light and dark
`records`       the committed evidence of every lab at its defaults
`fitting`       the training loop of the small nets that labs train
==============  ==================================================================================================

A new lab is one new file, ``experiments/<id with underscores>.py``, with a constant ``LAB``; `experiments/__init__.py` says
how to write it. Importing this package, or a lab, loads neither torch nor Altair: a lab's function imports what it needs.
Labs use the workshop (`viva.nn`, `viva.optim`, `viva.data`, `viva.models`, `viva.train`) and never a private copy of a model.
"""

from viva.labs.criteria import Criterion, at_least, at_most, between
from viva.labs.declare import Claim, Lab, Measure, Param, Results, Say, Trial, UnknownLab, every, lab
from viva.labs.evidence import Evidence, Figure, LabError, Measurement
from viva.labs.runner import Cancelled, ParameterError, Progress, Report, run
from viva.language import Text

__all__ = [
    "Cancelled",
    "Claim",
    "Criterion",
    "Evidence",
    "Figure",
    "Lab",
    "LabError",
    "Measure",
    "Measurement",
    "Param",
    "ParameterError",
    "Progress",
    "Report",
    "Results",
    "Say",
    "Text",
    "Trial",
    "UnknownLab",
    "at_least",
    "at_most",
    "between",
    "every",
    "lab",
    "run",
]
