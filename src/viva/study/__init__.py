"""Queue, schedule, plan and progress: plain functions on plain data.

Nothing here reads a database or the clock; times come in as arguments, in UTC. Storage is :mod:`viva.store`'s.
"""
