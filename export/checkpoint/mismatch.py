"""One message for all keys of a checkpoint that are missing, unexpected or misshapen, with the likeliest cause."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping

Shape = tuple[int, ...]

_LISTED = 4


def mismatch_message(
    wanted: Mapping[str, Shape],
    found: Mapping[str, Shape],
    *,
    optional: Collection[str] = (),
    architecture: str,
    file_name: str,
) -> str:
    """What is wrong with the keys of a checkpoint.

    Args:
        wanted: shapes by name, of the network that its sizes make.
        found: those of the checkpoint.
        optional: names that may be missing.
        architecture: what it was taken for.
        file_name: for the message.

    Returns:
        The message; empty where all is well.
    """
    missing = [name for name in wanted if name not in found and name not in optional]
    unexpected = [name for name in found if name not in wanted]
    misshapen = [name for name in wanted if name in found and wanted[name] != found[name]]
    if not missing and not unexpected and not misshapen:
        return ""
    lines = [f"Checkpoint {file_name} was taken for {architecture} with two heads, but its keys do not fit:"]
    for what, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            lines.append(f"  {len(names)} {what}: {_grouped(names)}")
    if misshapen:
        told = "; ".join(f"{name} is {found[name]}, expected {wanted[name]}" for name in misshapen[:_LISTED])
        lines.append(f"  {len(misshapen)} misshapen: {told}{_more(len(misshapen) - _LISTED)}")
    lines.append(f"Likeliest cause: {_cause(missing, unexpected, misshapen)}.")
    return "\n".join(lines)


def _grouped(names: list[str]) -> str:
    """Names that differ in a layer's number alone count as one: `layers.{0, 3}.mlp.fc1.bias`."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        number = re.search(r"\.(\d+)\.", name)
        key = name if number is None else f"{name[: number.start(1)]}*{name[number.end(1) :]}"
        groups[key].append("" if number is None else number[1])
    told = []
    for key, numbers in groups.items():
        whole = sorted({int(number) for number in numbers if number})
        if "*" not in key:
            told.append(key)
        elif len(whole) == 1:
            told.append(key.replace("*", str(whole[0]), 1))
        else:
            told.append(key.replace("*", "{" + ", ".join(map(str, whole)) + "}", 1))
    return ", ".join(told[:_LISTED]) + _more(len(told) - _LISTED)


def _more(count: int) -> str:
    return f" and {count} more like these" if count > 0 else ""


def _cause(missing: list[str], unexpected: list[str], misshapen: list[str]) -> str:
    if misshapen and not missing and not unexpected:
        if all(re.fullmatch(r"\w+_head\.0\.weight", name) for name in misshapen):
            return "the heads were trained on features of another width than this trunk gives"
        return "parts of two models of different sizes were put together"
    if missing and not unexpected and not misshapen:
        parts = {name.split(".")[0] for name in missing}
        if parts == {"backbone"}:
            return "the file holds only part of the trunk (frozen layers were left out when it was saved)"
        return "the file holds only part of the model, or training had not built all of it"
    if unexpected and not missing:
        if any(re.search(r"\b(fc|classifier|loss|criterion|metric|ema)", name) for name in unexpected):
            return "the training object (its loss, metrics or another head) was saved with the model"
        if any("lora" in name.lower() or "adapter" in name.lower() for name in unexpected):
            return "adapters were trained and not merged into the weights before saving"
        return "the model has layers that the seed's regressors do not have"
    return "another architecture: the names or sizes are of a different trunk or head"
