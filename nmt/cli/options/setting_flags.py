"""Names the settings that users mean by options, e.g. ``optimizer.learning_rate`` by ``--lr``."""

import difflib
import os
import re
from collections.abc import Iterator, Sequence

from nmt.cli.completion.table import Table, load_table
from nmt.errors import UserError

_HYDRA = ("--run", "-r", "--package", "-p", "--experimental-rerun", "-cp", "-cn", "-cd", "-sc")
"""Hydra's options that `table.json` does not contain."""

_RATE, _UPDATES, _BATCH = "optimizer.learning_rate", "training.max_updates", "training.batch_tokens"
_EPOCHS = "epochs max_epochs num_epochs max_epoch num_train_epochs epoch n_epochs"
_SENTENCES = "batch_size batch bs per_device_train_batch_size train_batch_size max_sentences"
_HABITS = {  # the names that other toolkits have for a setting or a group
    _RATE: "lr alpha base_lr",
    _UPDATES: "steps max_steps train_steps num_steps max_update updates iterations max_iters "
    f"{_EPOCHS}",
    _BATCH: f"max_tokens {_SENTENCES}",
    "training.accumulation": "accum_count update_freq gradient_accumulation_steps accumulate",
    "training.validate_every": "valid_steps eval_steps eval_every valid_every eval_interval "
    "validate_interval_updates",
    "training.save_every": "save_steps save_checkpoint_steps save_interval_updates save_interval",
    "training.clip_norm": "max_grad_norm grad_clip clip clip_grad gradient_clip",
    "training.patience": "early_stopping early_stop",
    "training.device": "gpu gpus cuda gpu_id gpu_ranks",
    "training.precision": "fp16 bf16 amp mixed_precision half",
    "training.init_from": "resume resume_from restore restore_file load checkpoint pretrained "
    "train_from init finetune_from_model load_checkpoint",
    "training.max_minutes": "time max_time timeout stop_time_hours",
    "optimizer": "optim opt",
    "schedule": "scheduler lr_scheduler decay_method lr_decay",
    "schedule.warmup": "warmup_steps warmup_updates num_warmup_steps",
    "model": "arch architecture",
    "model/decoder/attention": "attention attn global_attention attention_type",
    "model.encoder.num_layers model.decoder.num_layers": "layers num_layers n_layers depth",
    "model.encoder.num_layers": "enc_layers encoder_layers",
    "model.decoder.num_layers": "dec_layers decoder_layers",
    "model.encoder.hidden_size model.decoder.hidden_size": "d_model rnn_size "
    "word_vec_size embed_dim hidden dim hidden_dim embedding_size emb_size",
    "model.encoder.num_heads model.decoder.num_heads": "heads n_heads nhead attention_heads",
    "model.encoder.feed_forward_size model.decoder.feed_forward_size": "ffn_dim d_ff "
    "transformer_ff",
    "tokenizer.vocab_size": "vocab src_vocab_size tgt_vocab_size bpe_size dim_vocabs",
    "data.source_language": "src_lang source_lang sl from",
    "data.target_language": "tgt_lang trg_lang target_lang tl to",
    "data.train.source": "src source train_src",
    "data.train.target": "tgt trg target train_tgt",
    "data.train.path": "train train_data trainpref train_sets train_set train_file corpus input "
    "data_path",
    "data.valid.path": "valid valid_data validpref valid_sets dev validation_file",
    "data.test.path": "test test_data testpref test_file",
    "data.loader_workers": "num_workers workers",
    "run.dir": "output output_dir out save_dir save_model model_dir logdir log_dir name run_name "
    "dir checkpoint_dir destdir o",
    "decoding.beam_size": "beam beams num_beams",
    "decoding.length_penalty": "lenpen alpha_length",
    "seed": "random_seed manual_seed",
    "logging.log_every": "log_interval report_every logging_steps disp_freq",
}
_CONFIG = "config config_file yaml conf"
_UNITS = {
    _EPOCHS: "training is measured in updates, not epochs",
    _SENTENCES: "a batch is measured in pieces, not sentences",
}


def refuse_setting_flags(command: str, arguments: Sequence[str]) -> None:
    """Refuse the unknown options of a command that takes settings, and name the settings.

    Args:
        command: The name of the command, e.g. ``train``.
        arguments: The words after it.

    Raises:
        UserError: One of them is an unknown option.
    """
    table = load_table()
    known = [flag for flag in table.commands[command].options if flag] + [*_HYDRA]
    found = [
        (flag, value)
        for flag, value in _flags(table, arguments)
        if flag not in known and not _abbreviates(flag, known)
    ]
    if not found:
        return
    flags = ", ".join(flag for flag, _ in found)
    raise UserError(f"nmt {command} has no option {flags}; {_remedy(table, command, found)}")


def _abbreviates(flag: str, known: Sequence[str]) -> bool:
    """Return whether Hydra accepts an option as the beginning of one of its options."""
    fits = [option for option in known if option.startswith(flag)]
    return len(flag) > 3 and len(fits) == 1


def flag_remedy(flag: str, arguments: Sequence[str]) -> str | None:
    """Return what to write instead of an unknown option; None if no setting is similar."""
    table = load_table()
    values = dict(_flags(table, arguments))
    words = _overrides(table, flag, values.get(flag))
    return f"write {words};" if words else None


def _remedy(table: Table, command: str, flags: Sequence[tuple[str, str | None]]) -> str:
    if any(_name(flag) in _CONFIG.split() for flag, _ in flags):
        return "give the folder of your YAML file: --config-dir FOLDER experiment=NAME"
    overrides = [_overrides(table, flag, value) for flag, value in flags]
    written = " ".join(dict.fromkeys(" ".join(filter(None, overrides)).split(" ")))
    names = {_name(flag) for flag, _ in flags}
    units = [unit for words, unit in _UNITS.items() if names & {*words.split()}]
    note = f" ({'; '.join(units)})" if units else ""
    rest = "settings are written KEY=VALUE, see " if not written or None in overrides else ""
    help_ = f"nmt {command} --help"
    if not written:
        return f"{rest}{help_}"
    return f"write {written}{note}" + (f"; other {rest}{help_}" if rest else "")


def _flags(table: Table, arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the options among the arguments with their values."""
    before = ""
    options = table.commands["train"].options
    for word, after in zip(arguments, [*arguments[1:], "--"], strict=False):
        is_value = options.get(before) is not None
        before = word
        if is_value or not re.match(r"--?[A-Za-z]", word):
            continue
        flag, equals, value = word.partition("=")
        if equals:
            yield flag, value
        else:
            key = after.lstrip("+~").partition("=")[0]
            a_setting = "=" in after and (key in table.settings or key in table.groups)
            yield flag, None if re.match(r"-+[A-Za-z]|--$", after) or a_setting else after


def _name(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_").lower()


def _overrides(table: Table, flag: str, value: str | None) -> str | None:
    """Return the settings that the user means by an option, as on the command line."""
    name = _name(flag)
    keys = _keys(table, name)
    if name.startswith("no_") and (denied := _keys(table, name[3:])):
        keys, value = denied, "false"
    if not keys:
        return None
    if any(name in words.split() for words in _UNITS):
        value = None
    if keys == ["data"] and value not in (None, *table.groups["data"]):
        return f"data=files data.train.path={value}"
    if keys == ["model"] and value and value not in table.groups["model"] and os.path.exists(value):
        return f"training.init_from={value}"
    if keys == ["training.precision"] and value is None:
        value = {"fp16": "float16", "half": "float16"}.get(name, "bfloat16")
    if keys == ["training.device"] and name != "device":
        value = "cuda" if value is None or not value.isdigit() else f"cuda:{value}"
    if keys[0] in ("data.train.source", "data.train.target") and _is_language(value):
        keys = [keys[0].replace("train.", "") + "_language"]
    if value is None and keys[0] in table.settings:
        value = "true" if "true" in table.settings[keys[0]].values.words else None
    of_files = re.match(r"data\.(train|valid|test)\.", keys[0])
    written = [f"{key}={_quoted(value)}" for key in keys]
    return " ".join(["data=files", *written] if of_files else written)


def _is_language(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"[a-z]{2,3}([_-]\w+)?", value) is not None


def _quoted(value: str | None) -> str:
    if value is None:
        return "VALUE"
    return value if re.fullmatch(r"[\w./:@%+,~-]+", value) else f'"{value}"'


def _keys(table: Table, name: str) -> list[str]:
    """Return the settings or the group that a name means; empty if no name is similar."""
    if name in table.settings:
        return [name]
    if (group := name.replace(".", "/")) in table.groups:
        return [group]
    habits = {word: keys for keys, words in _HABITS.items() for word in words.split()}
    if name in habits:
        return habits[name].split()
    ends: dict[str, list[str]] = {}
    for key in table.settings:
        ends.setdefault(key.rpartition(".")[2], []).append(key)
        ends.setdefault("_".join(key.split(".")[-2:]), []).append(key)
    near = difflib.get_close_matches(name, {**ends, **habits}, n=1, cutoff=0.75)
    if name not in ends and near and near[0] in habits:
        return habits[near[0]].split()
    found = ends.get(name) or (ends[near[0]] if near else [])
    return sorted(found, key=_importance)[: 2 if found and found[0].startswith("model.") else 1]


def _importance(key: str) -> tuple[int, int]:
    """Order settings with the same name: training first; in a model: encoder, decoder, features."""
    first = ("training", "model", "optimizer", "tokenizer", "data", "decoding").index
    section = key.partition(".")[0]
    place = first(section) if section in ("training", "model", "optimizer", "tokenizer") else 9
    return place, key.count(".") + ("decoder" in key) + 2 * key.startswith("model.features")
