"""Entry point of `nmt`, `python -m nmt` and `torchrun -m nmt`."""

from nmt.process_exit import exit_on_error, exit_quickly


def main() -> None:
    """Run the command line and end the process; Ctrl-C is one line, even while commands load."""
    with exit_quickly(), exit_on_error():
        from nmt.cli.main import main as run_command_line

        run_command_line()


if __name__ == "__main__":
    main()
