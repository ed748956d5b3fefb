"""Viva: practise deep-learning interviews in your own words.

Importing this package is cheap on purpose: nothing here pulls in a web server, a database or torch.
"""

__version__ = "0.1.0"
