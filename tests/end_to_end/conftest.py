from command_line import corpus, nmt, run, tiny

__all__ = ["corpus", "nmt", "run", "tiny"]  # fixtures
