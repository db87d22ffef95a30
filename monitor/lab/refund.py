"""`python -m monitor.lab.refund SHOP_URL`: a program such as a shop may give us for a command path (docs/app-contract.md).

It reads a refund as JSON, `key` and all that the toy shop wants, and asks the shop over HTTP.
"""

import json
import os
import sys
import urllib.error
import urllib.request

SECONDS = 20.0


def main(url: str) -> int:
    """Ask; returns the exit code. What is wrong stands on stderr, the shop's answer on stdout."""
    try:
        body = json.load(sys.stdin)
        key = body.pop("key")
    except (ValueError, KeyError, AttributeError) as error:
        return _end(os.EX_USAGE, f"stdin is no JSON object with a key: {error}")
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", "Idempotency-Key": str(key)})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            sys.stdout.write(answer.read().decode())
            return os.EX_OK
    except urllib.error.HTTPError as refusal:
        with refusal:
            said = f"{refusal.code}: {refusal.read(500).decode('utf-8', 'replace')}"
        return _end(os.EX_TEMPFAIL if refusal.code in (429, 503) else 1, said)
    except urllib.error.URLError as error:
        return _end(
            os.EX_UNAVAILABLE if isinstance(error.reason, ConnectionRefusedError) else 1, f"the shop does not answer: {error.reason}"
        )


def _end(code: int, why: str) -> int:
    sys.stderr.write(why + "\n")
    return code


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(_end(os.EX_USAGE, "usage: python -m monitor.lab.refund SHOP_URL"))
    sys.exit(main(sys.argv[1]))
