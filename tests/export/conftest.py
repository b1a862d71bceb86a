from model_files import model_file

__all__ = ["model_file"]  # a fixture
