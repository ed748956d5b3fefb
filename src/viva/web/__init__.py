"""The pages and the JSON API: ``create_app(settings) -> FastAPI``.

``app.py`` puts it together; ``guard.py`` keeps strangers out; each file of ``pages/`` is one part of the site and draws
templates of the same name; ``api.py`` serves the same data as JSON. Scripts and styles are built from ``client/``.
"""
