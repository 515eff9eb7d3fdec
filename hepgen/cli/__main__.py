"""``python -m hepgen.cli``, the same as ``hepgen``."""

from hepgen.cli.main import main

if __name__ == "__main__":
    main()
