"""The command line: `python -m kadmap run`, or `kadmap run` once the package is installed."""

from __future__ import annotations

import signal
import sys

from kadmap._kadmap import run_command


def main() -> None:
    """Runs the command of the process's arguments and exits with its code."""
    # The command answers Ctrl-C itself; Python's handler would only note it until the command is over.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run_command(sys.argv[1:]))


if __name__ == "__main__":
    main()
