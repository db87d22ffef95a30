"""The command `mailcanary`, also `python -m monitor`."""

import sys


def main() -> None:
    from monitor.cli import main as run  # noqa: PLC0415 - nothing is imported before it is needed: --help must be quick

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
