#!/usr/bin/env python3
"""Swaps a plugin a hundred times on two nodes under load, and counts what failed.

    cargo build --release --bin archstone; cargo xtask plugins
    target/venv/bin/python benches/swap.py [--seconds 60] [--swaps 100]

Both nodes validate tokens and exchange a workload's JWT through the plugin, as fast as they can, while another artifact of it is
put in service over and over. Exits 1 where any request failed, or where there were fewer than 1,000 a second.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benches")]

from federation.conftest import Domain
from federation.test_nodes import VERSIONS, Nodes, artifact, log_in
from federation.test_workloads import RULES, Ci, configured
from harness.servers import Archstone
from wrk import LoadFailed, Request, wrk

#: What the load must come to.
LEAST_PER_SECOND = 1_000


def load(nodes, connector, ci, scope):
    """(what it is, the node, the request), for each node."""
    jwt = ci.token()
    issued = log_in(nodes.first, connector, jwt, scope).headers["X-Subject-Token"]
    exchange = Request(
        f"/v4/connectors/{connector['id']}/token", "POST", {"scope": scope}, {"Authorization": f"Bearer {jwt}"}
    )
    validation = Request("/v3/auth/tokens", headers={"X-Auth-Token": nodes.admin.token, "X-Subject-Token": issued})
    return [
        (name, node, request)
        for node in nodes.both
        for name, request in [("exchange a JWT", exchange), ("validate a token", validation)]
    ]


def swap(nodes, digests, swaps, until):
    """Puts one artifact after the other in service, evenly until a time; gives how long each took on both nodes."""
    took = []
    for number in range(swaps):
        began = time.monotonic()
        digest = digests[number % len(digests)]
        nodes.admin.post("/v4/plugins/jwt/rollback", digest=digest[:16]).ok()
        nodes.wait_for("jwt", digest, limit_s=30)
        took.append(time.monotonic() - began)
        time.sleep(max(0.0, (until - time.monotonic()) / (swaps - number)  - took[-1]))
    return sorted(took)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--swaps", type=int, default=100)
    arguments = parser.parse_args()
    Archstone.binary = arguments.archstone
    with tempfile.TemporaryDirectory(prefix="swap-") as directory:
        nodes = Nodes(Path(directory) / "shared")
        try:
            acme, ci = Domain(nodes.first, "acme"), Ci()
            digests = [
                nodes.install("jwt", artifact(version), {"grant": {"http": {"origins": []}}})["digest"]
                for version in range(VERSIONS)
            ]
            nodes.wait_for("jwt", digests[-1], limit_s=60)
            connector = acme.connect("jwt", configured(ci, replay="allow"), rules=RULES)
            asked = load(nodes, connector, ci, acme.scope)
            with ThreadPoolExecutor() as clients:
                until = time.monotonic() + arguments.seconds
                running = [clients.submit(wrk, node.base, request, 2, arguments.seconds + 5) for _, node, request in asked]
                took = swap(nodes, digests, arguments.swaps, until)
                results = [one.result() for one in running]
        except LoadFailed as failure:
            sys.exit(f"requests failed: {failure}")
        finally:
            nodes.stop()
    print(f"{len(took)} swaps, on both nodes after {took[len(took) // 2]:.2f} s (median), {took[-1]:.2f} s (longest); no request failed")
    for (name, _, _), result in zip(asked, results):
        print(f"  {name:<18}{result.per_second:>9,.0f}/s   p50 {result.p50_ms:.2f} ms   p99 {result.p99_ms:.2f} ms")
    total = sum(result.per_second for result in results)
    print(f"  together          {total:>9,.0f}/s")
    if total < LEAST_PER_SECOND:
        sys.exit(f"fewer than {LEAST_PER_SECOND} requests a second")


if __name__ == "__main__":
    main()
