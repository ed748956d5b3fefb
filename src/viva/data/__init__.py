"""Data: sets to learn from, and what is done to them before a network sees them.

==============================  ===============================================================================
`digits` `mnist`                images with one class each (`labelled`)
`bccd`                          photographs of blood cells with boxes
`shakespeare` `nsmc`            texts; Korean film reviews with a label
`splits` `resampling`           train/validation/test without leakage; classes of unequal size
`augmentation`                  images turned, cropped, coloured and mixed, with a generator of one's own
`sources` `download` `lock`     where files are found, how they are checked and fetched
==============================  ===============================================================================

Tokenisers and sets that Viva draws itself (spirals, scenes, dates) are modules of this package, too.

Import the modules, not names from here: ``from viva.data import mnist; mnist.load("train")``. Nothing is re-exported, so
that importing one of them loads nothing of the others. One more data set is one more module with a ``SOURCE`` and a
``load``, and its name in `SETS`, from which ``viva datasets`` lists it.
"""

SETS = ("digits", "mnist", "bccd", "shakespeare", "nsmc")
