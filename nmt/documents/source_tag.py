"""The tag before each source sentence that a model needs, e.g. for the target language."""

from nmt.config.data import DataConfig, FilesDataConfig
from nmt.config.plain import extra_sources
from nmt.errors import UserError
from nmt.text.tokenizer import Tokenizer


def sentence_tag(given: str | None, data: DataConfig, tokenizer: Tokenizer) -> str:
    """Return the tag before each sentence of a document; empty: there is none.

    Args:
        given: The tag that the user chose; None: the one that all training sources have.
        data: The data of the run.
        tokenizer: The tokenizer of the source side.

    Raises:
        UserError: The model was trained without this tag, or with several and none is given.
    """
    trained = _trained_tags(data)
    known = sorted(tag for tag in trained if tag)
    if given is None:
        if "" in trained or not trained:
            return ""
        if len(known) > 1:
            raise UserError(
                f"the model was trained with the tags {', '.join(known)}: choose one for the "
                "document with --source-tag"
            )
        return known[0]
    if given in known or (given and not tokenizer.split_tags(given)[1]):
        return given
    shown = f"with {', '.join(known)}" if known else "without tags"
    raise UserError(f"--source-tag is {given!r}, but the model was trained {shown}; correct it")


def _trained_tags(data: DataConfig) -> set[str]:
    """Return the tags of the training sources; an empty tag is that of a source without one."""
    if not isinstance(data, FilesDataConfig):
        return {""}
    return {source.tag or "" for source in (data.train, *extra_sources(data).values())}
