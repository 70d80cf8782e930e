"""`python -m hasnas` is the command line."""

from hasnas.nas.cli import main

if __name__ == "__main__":
    main()
