"""`python -m puller` is the same program as `puller`."""

from puller.cli.main import main

if __name__ == "__main__":
    main()
