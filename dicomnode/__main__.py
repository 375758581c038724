"""Lets `python -m dicomnode` do what the command `dicomnode` does."""

from dicomnode.cli import main

if __name__ == "__main__":
    main()
