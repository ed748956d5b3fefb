"""Queue, schedule, plan and progress: plain functions on plain data.

Nothing here reads a database or the clock; times come in as arguments, in UTC. Storage is :mod:`viva.store`'s.

``cards`` and ``settings`` are the vocabulary (a rating, a review, a card; the learner's choices and the learner's day).
``schedule`` says when a question comes up again, ``queue`` which ones come now, ``plan`` what the days until the interview
hold, ``progress`` how it has gone, ``compare`` what changed between two answers, ``search`` where something is. The scheduler is
the ``fsrs`` package; ``schedule`` is the way to it.
"""
