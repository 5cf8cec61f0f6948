"""As much of Argo CD's page as an extension meets: React, `extensionsAPI`, and the proxy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from browser import script
from flask import Flask
from werkzeug.wrappers import Request, Response

from receiver.core.model import Json

BASE = "/argocd/"
"""Argo CD may be served below a path, which its page names in <base>."""

PAGE = """<!doctype html>
<html lang="en"><head><base href="/argocd/"><title>shop</title></head><body>
<h1>shop</h1>
<main><div id="panel"></div><div id="flyout"></div><div id="tab"></div></main>
<script src="react.production.min.js"></script>
<script src="react-dom.production.min.js"></script>
<script>
const application = @@APPLICATION@@;
const registered = {};
window.extensionsAPI = {
  registerResourceExtension(component, group, kind, title, options) {
    registered.tab = { component, group, kind, title, options };
  },
  registerStatusPanelExtension(component, title, id, flyout) {
    registered.panel = { component, title, id, flyout };
  },
};
</script>
<script src="extensions.js"></script>
<script>
const show = (component, props, place) =>
  ReactDOM.render(React.createElement(component, props), document.getElementById(place));
const tree = { nodes: [] };
show(registered.panel.component, {
  application,
  openFlyout: () => show(registered.panel.flyout, { application, tree }, "flyout"),
}, "panel");
window.openTab = () =>
  show(registered.tab.component, { application, resource: application, tree }, "tab");
</script></body></html>
"""

NEEDED = ("Argocd-Application-Name", "Argocd-Project-Name")
KEPT_BACK = ("Authorization", "Cookie")


def argocd_page(
    app: Flask, extension: str, application: Json, secret: str, denied: Callable[[], bool]
) -> Callable[..., Iterable[bytes]]:
    """Serve the page of an Application over an app, with Argo CD's proxy before it.

    Args:
        app: what the proxy leads to.
        extension: the extension's script.
        application: the Application that is shown.
        secret: the header that `extension.config` adds.
        denied: whether RBAC does not let the user use the extension now.
    """
    page = PAGE.replace("@@APPLICATION@@", json.dumps(application))
    scripts = {name: script(name).read_text() for name in (
        "react.production.min.js", "react-dom.production.min.js",
    )}  # fmt: skip
    scripts["extensions.js"] = extension

    def serve(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        request = Request(environ)
        name = request.path.removeprefix(BASE)
        if name.startswith("extensions/postsync/"):
            if not all(request.headers.get(one) for one in NEEDED):
                return Response("Invalid headers", 400)(environ, start)
            if denied():
                return Response("Unauthorized extension request", 401)(environ, start)
            return app(_proxied(environ, name, secret), start)
        if name in scripts:
            return Response(scripts[name], mimetype="text/javascript")(environ, start)
        return Response(page, mimetype="text/html")(environ, start)

    return serve


def _proxied(environ: dict[str, Any], name: str, secret: str) -> dict[str, Any]:
    """The request as Argo CD's server passes it on (server/extension/extension.go)."""
    left_out = {f"HTTP_{one.upper()}" for one in KEPT_BACK}
    return {
        **{key: value for key, value in environ.items() if key not in left_out},
        "PATH_INFO": name.removeprefix("extensions/postsync"),
        "HTTP_AUTHORIZATION": secret,
        "HTTP_ARGOCD_USERNAME": "ann",
        "HTTP_ARGOCD_USER_GROUPS": "ops",
    }
