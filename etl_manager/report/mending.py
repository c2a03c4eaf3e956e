"""What Allure's single page needs before it can be handed on: it must open every time, and call nobody.

Found in Allure 3.18.0: the main script runs before the data is there in about one load of eleven, which then stays
empty; and the page loads an analytics script, which no setting turns off.
"""

from __future__ import annotations

import re
from html import escape

from etl_manager.errors import VerificationError
from etl_manager.wording import number_of

_MAIN = re.compile(r'<script\s+src="data:text/javascript;base64,[A-Za-z0-9+/=]*"></script>\n?')
_ANALYTICS = re.compile(
    r'<script async src="https://www\.googletagmanager\.com/[^"]*"></script>\s*'
    r"<script>\s*window\.dataLayer\b.*?</script>\s*",
    re.DOTALL,
)
_END = "</body>"

POLICY = (
    "default-src 'none'; script-src data: blob: 'unsafe-inline' 'unsafe-eval'; style-src data: 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; media-src data: blob:; connect-src data: blob:; frame-src data: blob:; "
    "worker-src data: blob:"
)
"""What the page may load: what it carries, and nothing else."""


def mended(page: str, verdict: str, *, state: str, headline: str, style: str) -> str:
    """Return Allure's *page* with its main script last, without analytics, and with the *verdict* before all else.

    Args:
        page: What Allure made.
        verdict: HTML.
        state: What the verdict comes to, as a class of its style.
        headline: The same, in words.
        style: CSS of the verdict.

    Raises:
        VerificationError: When the page is not built as it is known of Allure 3.18.0.
    """
    page, analytics = _ANALYTICS.subn("", page)
    main = _MAIN.findall(page)
    if len(main) != 1 or page.count(_END) != 1 or "googletagmanager" in page or "<head>" not in page:
        raise VerificationError(
            f"Allure's page is built otherwise than it was: {number_of(len(main), 'main script')}, {number_of(analytics, 'analytics script')}",
            remedy="etl_manager/report/allure/package.json pins the version that is known: install that one.",
        )
    page = page.replace(main[0], "")
    page = page.replace("<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1)
    page = page.replace("</head>", f"<style>{style}{_FRONT_STYLE}</style>\n</head>", 1)
    page = page.replace("<body>", f"<body>\n{_front(verdict, state, headline)}", 1)
    return page.replace(_END, f"{main[0]}{_END}")


_FRONT_STYLE = """
#front-bar { position: sticky; top: 0; z-index: 1000; display: flex; gap: .5rem; align-items: center; height: 40px;
  box-sizing: border-box; padding: 0 1rem; background: #1d2127; color: #fff; font: 600 14px system-ui, "DejaVu Sans", sans-serif; }
#front-bar a { padding: .25rem .8rem; border-radius: .3rem; color: #fff; text-decoration: none; }
#front-bar a[aria-current] { background: #fff; color: #1d2127; }
#front-bar .state { margin-right: auto; padding: .25rem .8rem; border-radius: .3rem; background: #59626e; }
#front-bar .state.ready { background: #14692f; } #front-bar .state.not-ready { background: #b3121d; }
#front { background: #f4f6f9; }
#app, #app > div { height: calc(100vh - 40px) !important; min-height: 0 !important; }
body.front #app, body.front #allure-app-loader, body:not(.front) #front { display: none; }
"""

_FRONT_SCRIPT = """
(function () {
  function show() {
    var front = location.hash === "" || location.hash === "#verdict";
    document.body.classList.toggle("front", front);
    document.getElementById("to-verdict").toggleAttribute("aria-current", front);
    document.getElementById("to-scenarios").toggleAttribute("aria-current", !front);
  }
  addEventListener("hashchange", show);
  show();
})();
"""


def _front(verdict: str, state: str, headline: str) -> str:
    """Return the bar that is always there, and the verdict, which is shown unless a scenario is asked for."""
    return (
        f'<nav id="front-bar"><span class="state {state}">{escape(headline)}</span>'
        '<a id="to-verdict" href="#verdict">Verdict</a><a id="to-scenarios" href="#/">Scenarios</a></nav>\n'
        f'<div id="front">{verdict}</div>\n<script>{_FRONT_SCRIPT}</script>\n'
    )
