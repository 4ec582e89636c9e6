"""The full-screen view, ``vsg tui``: commits, what they changed, and tables as they were.

``data`` asks the database, without knowing of a screen; ``view`` puts that into text;
``widgets`` and the screens show it. Whatever asks the database runs in a thread, so that
the screen goes on answering.
"""
