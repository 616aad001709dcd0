"""Prints the folder of a Pulumi engine; finds or makes one first.

python3 tools/find_engine.py             the folder to put first on PATH, and nothing else
python3 tools/find_engine.py --explain   where it came from, and why others were passed over
"""

from __future__ import annotations

import argparse
import signal
import sys

from engine import EngineNotFound, Found, find


def main() -> int:
    parser = argparse.ArgumentParser(description="Finds a Pulumi engine, or puts one into a cache.")
    parser.add_argument("--explain", action="store_true", help="say what was found and why")
    arguments = parser.parse_args()
    # So that a half-made engine is removed on this signal as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = find()
    except EngineNotFound as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(explain(found) if arguments.explain else found.engine.folder)
    return 0


def explain(found: Found) -> str:
    engine = found.engine
    return "\n".join([f"Pulumi {engine.version} in {engine.folder}: {found.origin}.", *found.passed_over])


if __name__ == "__main__":
    sys.exit(main())
