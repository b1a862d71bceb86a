from command_line import corpus, nmt, refused, run, tiny

__all__ = ["corpus", "nmt", "refused", "run", "tiny"]  # fixtures
