"""`python -m nmt`, and what torchrun -m starts."""

from nmt.cli.main import main

if __name__ == "__main__":
    main()
