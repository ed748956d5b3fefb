"""The labs, one file each; the shortest whole one is `why_sqrt_dk.py`. To write one:

1. Copy a neighbour to ``<id with underscores>.py``. The id is what the bank writes after ``lab:``; cover every claim that names it.
2. The file opens with what is done, and ends with ``LAB``. ``measure`` runs *one* seed and imports torch and the workshop inside,
   at the moment of the call: listing labs stays light, and a test can put a fault in the workshop's place. Draw chance from
   torch's generator (it is seeded) or from one made of ``seed``. Call ``report`` a few times a second: that is where cancelling bites.
3. Run it over twelve seeds or more, write the least and largest value into ``seen=`` of each criterion, and set the limit where the
   *claim* puts it. Where the claim fails, the claim is wrong, not the limit.
4. The title of a figure has to be true at any parameters that a reader chooses: put what was measured into it.
5. Build in a control: something measured that has to come out the other way.
6. ``viva lab run <id>``, look at the figure in both themes and languages, then ``viva lab record <id>``. The test is one line in
   ``tests/labs``: a fault planted in the workshop, and the claim that has to fall.
"""
