"""Entry point of `nmt`, `python -m nmt` and `torchrun -m nmt`."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of the imports below

from nmt.process_exit import exit_on_error, exit_quickly
from nmt.torch_import import let_waiting_threads_sleep


def main() -> None:
    """Run the command line and end the process."""
    let_waiting_threads_sleep()
    with exit_quickly(), exit_on_error():
        from nmt.cli.main import main as run_command_line

        run_command_line()


if __name__ == "__main__":
    main()
