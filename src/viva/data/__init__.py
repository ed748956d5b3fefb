"""Data: sets to learn from, and what is done to them before a network sees them.

=================================  ============================================================================
`digits` `mnist`                   images with one class each (`labelled`)
`bccd`                             photographs of blood cells with boxes
`shakespeare` `nsmc`               texts; Korean film reviews with a label
`spirals`                          toy sets in the plane, drawn by Viva, as are the next two rows
`scenes` `captions`                pictures of several digits with boxes, masks and sentences
`dates` `reversal`                 pairs of strings to translate; `sequences` has their vocabulary and batches
`tokenisers` `bpe`                 texts to ids and back; byte-pair encoding explained
`padding` `masking`                texts of unequal length as one tensor; BERT's hidden words and sentence pairs
`augmentation`                     images turned, cropped, coloured and mixed, with a generator of one's own
`splits` `resampling`              train/validation/test without leakage; classes of unequal size
`sources` `download` `lock`        where files are found, how they are checked and fetched
=================================  ============================================================================

Import the modules, not names from here: ``from viva.data import mnist; mnist.load("train")``. Nothing is re-exported, so
that importing one of them loads nothing it does not need. One more published set is one more module with a ``SOURCE`` and
a ``load``, and its name in `SETS`, from which ``viva datasets`` lists it.
"""

SETS = ("digits", "mnist", "bccd", "shakespeare", "nsmc")
