"""`python -m srfast`: the command `srfast`, where it is not on the path."""
from srfast.cli import main

if __name__ == "__main__":
    main()
