"""The command `mailcanary`, also `python -m monitor`."""

import sys


def main() -> None:
    try:
        from monitor.cli import main as run  # noqa: PLC0415 - nothing is imported before it is needed: --help must be quick

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while something was imported or parsed
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
