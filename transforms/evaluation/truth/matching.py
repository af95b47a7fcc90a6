"""Match the videos of a truth file to those of an output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.truth.pairing import Ambiguous, Key, Pairs, pair
from reelbeam.transforms.evaluation.truth.video_names import VideoName, folded
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.wording import counted

Rung: TypeAlias = Literal["exact", "uri", "suffix", "name", "stem"]
RUNGS: tuple[Rung, ...] = get_args(Rung)
"""The ways to compare, from the strictest to the loosest:

exact    the same text
uri      the same URI: without query, with the separators of Linux, percent-encoded or not
suffix   the last parts of the path: at least a folder and the file name, or all of the name in the truth file
name     the same file name
stem     the same file name without its extension

In the last three, case does not matter unless names differ in nothing else.
"""

_HALF = 0.5
_MAX_DEPTH = 32


class Matching(NamedTuple):
    """Which videos of the truth and of the output are the same.

    Attributes:
      rung: how they were compared.
      videos: the URI in the output of each matched video, by its name in the truth file.
      truth_without_video: names in the truth file that are not in the output.
      videos_without_truth: URIs of the output that are not in the truth file.
    """

    rung: Rung
    videos: Mapping[str, str]
    truth_without_video: tuple[str, ...]
    videos_without_truth: tuple[str, ...]


def match_videos(names: Iterable[str], uris: Iterable[str], rung: Rung | None = None) -> Matching:
    """Matches the videos of a truth file to those of an output, all in the same way.

    The way is the strictest one that matches at least half of the shorter side: part of the truth may have no video, or
    part of the output no truth. `exact` and `uri` compare the same thing, so the better one of them counts. If no way
    matches half, it is the one that matches most. A looser way would add videos that happen to have the same file name.

    Args:
      names: the videos in the truth file, which may repeat.
      uris: the videos in the output, which may repeat.
      rung: the way to compare; None: chosen as above.

    Raises:
      ConfigError: no video matches, or a name may mean several videos.
    """
    distinct, videos = list(dict.fromkeys(names)), list(dict.fromkeys(uris))
    chosen, pairs = (rung, _PAIRING[rung](distinct, videos)) if rung else _best(distinct, videos)
    if not pairs:
        raise _no_match(distinct, videos, rung)
    if pairs.ambiguous:
        raise _ambiguous(pairs.ambiguous, chosen)
    matched = frozenset(pairs.videos.values())
    return Matching(
        chosen,
        pairs.videos,
        tuple(name for name in distinct if name not in pairs.videos),
        tuple(uri for uri in videos if uri not in matched),
    )


def _best(names: Sequence[str], videos: Sequence[str]) -> tuple[Rung, Pairs]:
    enough = _HALF * min(len(names), len(videos))
    exact, found = _exact_pairs(names, videos), _uri_pairs(names, videos)
    best: tuple[Rung, Pairs] = ("uri", found) if len(found) > len(exact) else ("exact", exact)
    for rung in RUNGS[2:]:
        if best[1] and len(best[1]) >= enough:
            break
        found = _PAIRING[rung](names, videos)
        if len(found) > len(best[1]):
            best = rung, found
    return best


def _exact_pairs(names: Sequence[str], videos: Sequence[str]) -> Pairs:
    known = frozenset(videos)
    return Pairs({name: name for name in names if name in known}, [])


def _uri_pairs(names: Sequence[str], videos: Sequence[str]) -> Pairs:
    def key(text: str) -> Key:
        uri = VideoName.of(text).uri
        return Key(folded(uri, is_case_folded=False), uri)

    return pair(names, videos, lambda name: [key(name)], key)


def _suffix_pairs(names: Sequence[str], videos: Sequence[str]) -> Pairs:
    """Pairs names and videos with the longest common end of their paths.

    Paths that share their end with a longer pair stay alone: this end does not distinguish them from that pair.
    """
    parts = {text: VideoName.of(text).parts for text in (*names, *videos)}
    free_names, free_videos = set(names), set(videos)
    pairs = Pairs({}, [])
    for depth in range(min(_MAX_DEPTH, max(map(len, parts.values()), default=0)), 0, -1):
        # A file name alone is all of a truth's name, or too little.
        deep_names = [name for name in names if len(parts[name]) >= depth and (depth > 1 or len(parts[name]) == 1)]
        deep_videos = [video for video in videos if len(parts[video]) >= depth]
        keys = {}
        for text in (*deep_names, *deep_videos):
            end = "/".join(parts[text][-depth:])
            keys[text] = Key(folded(end), end)
        used = {keys[name].folded for name in deep_names if name not in free_names}
        used |= {keys[video].folded for video in deep_videos if video not in free_videos}
        found = _pairs_with_keys(
            [name for name in deep_names if keys[name].folded not in used],
            [video for video in deep_videos if keys[video].folded not in used],
            keys,
        )
        pairs.videos.update(found.videos)
        pairs.ambiguous.extend(found.ambiguous)
        taken = {text for each in found.ambiguous for text in (each.name, *each.others)}
        free_names -= found.videos.keys() | taken
        free_videos -= set(found.videos.values()) | taken
    return pairs


def _pairs_with_keys(names: Sequence[str], videos: Sequence[str], keys: Mapping[str, Key]) -> Pairs:
    return pair(names, videos, lambda name: [keys[name]], keys.__getitem__)


def _name_pairs(names: Sequence[str], videos: Sequence[str]) -> Pairs:
    def key(text: str) -> Key:
        name = VideoName.of(text).name
        return Key(folded(name), name)

    return pair(names, videos, lambda name: [key(name)], key)


def _stem_pairs(names: Sequence[str], videos: Sequence[str]) -> Pairs:
    def keys(text: str) -> list[Key]:
        name = VideoName.of(text)
        # A name without an extension may contain a dot.
        return [Key(folded(each), each) for each in (name.name, name.stem)]

    return pair(names, videos, keys, lambda video: keys(video)[1])


_PAIRING: Mapping[Rung, Callable[[Sequence[str], Sequence[str]], Pairs]] = {
    "exact": _exact_pairs,
    "uri": _uri_pairs,
    "suffix": _suffix_pairs,
    "name": _name_pairs,
    "stem": _stem_pairs,
}


def _no_match(names: Sequence[str], videos: Sequence[str], rung: Rung | None) -> ConfigError:
    if not videos:
        return ConfigError("the output holds no videos: label some with `reelbeam label`")
    how = f" with --match {rung}" if rung else ""
    return ConfigError(
        f"no video of the truth file is in the output{how}: the truth has {_shown(names[0])}, and the output has "
        f"{_shown(videos[0])}; write the same URIs or file names in the truth file"
    )


def _ambiguous(found: Sequence[Ambiguous], rung: Rung) -> ConfigError:
    first = found[0]
    more = f" ({counted(len(found) - 1, 'other name')} too)" if len(found) > 1 else ""
    return ConfigError(
        f"{_shown(first.name)} matches both {' and '.join(map(_shown, first.others))} by {rung}{more}: write the whole "
        "URIs in the truth file, or pass a stricter --match"
    )


def _shown(text: str) -> str:
    return repr(without_query(text)[:300])
