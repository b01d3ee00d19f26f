"""Versions of vLLM that are known to be unsafe. Made on 2026-11-24; the newest advisory found then
was of 2026-10-06, and 0.31.0 mends all that are listed here.

What is listed is rated high or critical, or lets one request to a text model stop the server.
Sources: https://github.com/vllm-project/vllm/security/advisories, whose ranges are those of
https://osv.dev/list?ecosystem=PyPI&q=vllm and https://nvd.nist.gov.
"""

import re
from dataclasses import dataclass

from indexes.i18n import t

_VERSION = re.compile(
    r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?P<early>(?:\.?(?:a|b|rc)\d+)?(?:\.dev\d+)?)"
    r"(?:\.post\d+)?(?:\+.*)?"
)
_SHOWN = 3

_Version = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Advisory:
    """``name`` is its CVE or GHSA number. It concerns the versions from ``since`` up to, and
    without, ``mended``."""

    name: str
    since: str
    mended: str


# The newest first, for it asks for the newest version.
VLLM: tuple[Advisory, ...] = (
    # Code execution through mm_processor_kwargs.code_revision, with --trust-remote-code.
    Advisory("GHSA-h3rc-6mm3-gc2m", "0.7.3", "0.31.0"),
    # A negative token in /v1/embeddings or /pooling stops the engine (GHSA-25q3-v2hm-8vpf).
    Advisory("CVE-2026-93592", "0.0", "0.28.0"),
    # A processor's code runs despite trust_remote_code=False (GHSA-3c86-2m5g-59q7).
    Advisory("CVE-2026-90553", "0.0", "0.28.0"),
    # structured_outputs.regex compiled without a limit of time (GHSA-rwxx-mrjm-wc2m).
    Advisory("CVE-2026-55574", "0.0", "0.24.0"),
    # A recovered token that does not exist stops the engine (GHSA-8wr5-jm2h-8r4f).
    Advisory("CVE-2026-54234", "0.17.1", "0.24.0"),
    # A Host header passes by the check of the key (GHSA-94f4-hr76-p5j6).
    Advisory("CVE-2026-48746", "0.3.0", "0.22.0"),
    # A check written as an assertion: code execution from a model (GHSA-q8gq-377p-jq3r).
    Advisory("CVE-2026-41523", "0.0", "0.22.0"),
    # A huge n uses up the memory (GHSA-3mwp-wvh9-7528).
    Advisory("CVE-2026-34756", "0.1.0", "0.19.0"),
    # A model's code runs despite trust_remote_code=False (GHSA-7972-pg2x-xr59).
    Advisory("CVE-2026-27893", "0.10.1", "0.18.0"),
    # Requests forged through addresses of media (GHSA-qh4c-xf7m-gxfc).
    Advisory("CVE-2026-24779", "0.0", "0.14.1"),
    # Code execution through videos (GHSA-4r2x-xpjr-7cvv).
    Advisory("CVE-2026-22778", "0.8.3", "0.14.1"),
    # Code execution through auto_map of a model (GHSA-2pc9-4j83-qjmr).
    Advisory("CVE-2026-22807", "0.10.1", "0.14.0"),
    # What the fix of CVE-2025-62164 left open (GHSA-mcmc-2m55-j8jj).
    Advisory("CVE-2026-56340", "0.10.2", "0.13.0"),
    # Prompt embeddings corrupt memory (GHSA-mrw7-hf4f-83pf).
    Advisory("CVE-2025-62164", "0.10.2", "0.11.1"),
    # Code execution through auto_map of a configuration (GHSA-8fr4-5q9j-m8gm).
    Advisory("CVE-2025-66448", "0.0", "0.11.1"),
    # The time that the check of the key takes gives it away (GHSA-wr9h-g72x-mwhm).
    Advisory("CVE-2025-59425", "0.0", "0.11.0"),
    # Code execution between the machines of a cluster (GHSA-9pcc-gvx5-r5wm).
    Advisory("CVE-2025-30165", "0.5.2", "0.10.0"),
    # Code execution through PyNcclPipe (GHSA-hjq4-87xh-g4fv).
    Advisory("CVE-2025-47277", "0.6.5", "0.8.5"),
    # Code execution through Mooncake (GHSA-hj4w-hm2g-p6w5), and before (GHSA-x3m8-f7g5-qhm7).
    Advisory("CVE-2025-32444", "0.6.5", "0.8.5"),
    Advisory("CVE-2025-29783", "0.6.5", "0.8.0"),
    # Code execution from a model's pickled weights (GHSA-rh4j-5rhw-hr54).
    Advisory("CVE-2025-24357", "0.0", "0.7.0"),
)


def unsafe(version: str) -> tuple[Advisory, ...]:
    """What is known against that version of vLLM; nothing of one that names no release."""
    number = _number(version)
    if number is None:
        return ()
    return tuple(a for a in VLLM if _parsed(a.since) <= number < _parsed(a.mended))


def warning(version: str) -> str:
    """The sentence that says so, or ""."""
    found = unsafe(version)
    if not found:
        return ""
    names = ", ".join(advisory.name for advisory in found[:_SHOWN])
    return t(
        "vLLM {version} is known to be unsafe ({names}). Use {mended} or newer.",
        version=version,
        names=names if len(found) <= _SHOWN else t("{names} and {more} more",
                                                   names=names, more=len(found) - _SHOWN),
        mended=max((a.mended for a in VLLM), key=_parsed),
    )  # fmt: skip


def _number(version: str) -> _Version | None:
    found = _VERSION.fullmatch(version.strip())
    # vLLM built from source without its tags calls itself 0.1.dev1.
    if found is None or (found["early"].startswith(".dev") and found[3] is None):
        return None
    major, minor, patch = (int(part or 0) for part in found.groups()[:3])
    return major, minor, patch, -1 if found["early"] else 0


def _parsed(version: str) -> _Version:
    number = _number(version)
    assert number is not None
    return number
