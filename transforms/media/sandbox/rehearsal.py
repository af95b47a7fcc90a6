"""A rehearsal for the fork server: requests for a bundled clip before it forks.

First calls are slow: CPython specializes code, codecs build tables, the linker resolves functions. A decoder process
lives for one request, so it would do all of that in each request, on its own pages. After the rehearsal, it inherits
the result. The clip is part of this file; the server reads no other video.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import socket
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sandbox import protocol
from reelbeam.transforms.media.sandbox.ring import ParentRing

Answer: TypeAlias = Callable[[protocol.Channel, int], None]
"""Receives one request from a channel and answers it. The second argument is the descriptor of a ring."""

NUM_ROUNDS = 3
"""Each round delays the start of the server by 14 ms. With 12 rounds, a request would take 0.3 ms less."""

_SAMPLING = ClipSampling(4, Fraction(5))
_RESIZE, _SIZE = 192, 172


def rehearse(answer: Answer) -> int:
    """Requests a probe and a decode several times.

    Returns:
      The number of decoded clips: one per round, or none if FFmpeg lacks the codec.
    """
    return sum(_rehearse_once(answer) for _ in range(NUM_ROUNDS))


def _rehearse_once(answer: Answer) -> int:
    (response,) = _ask(answer, {"probe": "rehearsal"}, 0)
    if "media" not in response:
        return 0
    spans = plan_clip_spans(protocol.media_from_json(response["media"]).duration_seconds, _SAMPLING)
    slot_bytes = max(span.num_decoded_frames for span in spans) * _SIZE * _SIZE * 3
    request = protocol.decode_request("rehearsal", response["media"], spans, (_RESIZE, _SIZE), slot_bytes)
    return sum("clip" in response for response in _ask(answer, request, slot_bytes))


def _ask(answer: Answer, request: dict[str, Any], slot_bytes: int) -> list[dict[str, Any]]:
    """Returns the responses to a request."""
    with contextlib.ExitStack() as opened:
        ring = opened.enter_context(contextlib.closing(ParentRing()))
        ring.reserve(slot_bytes)
        ours, theirs = (opened.enter_context(end) for end in socket.socketpair())
        clip = os.memfd_create("rehearsal", os.MFD_CLOEXEC)
        opened.callback(os.close, clip)
        size_bytes = os.write(clip, _clip())
        rest = {"limits": dataclasses.asdict(DEFAULT_LIMITS), "is_partial": False, "size_bytes": size_bytes}
        channel = protocol.Channel(ours)
        channel.send({**request, **rest}, clip)
        # This side does not read meanwhile: the responses fit into the socket's buffer, and the clip into the ring.
        answer(protocol.Channel(theirs), ring.descriptor)
        theirs.close()
        return list(iter(channel.receive, None))


def _clip() -> bytes:
    return zlib.decompress(base64.b85decode(_PACKED_CLIP))


# MP4, H.264 with B-frames, 64 x 48, 20 frames at 25 fps, three key frames.
_PACKED_CLIP = (
    r"c-o~_4^R}>8DCIPQKQK5M-j6M8e-tsTTUt`8#o{VK|_oUM(xb8xBHG;Z})a@ckkdxS|#GdSTjLQ#9{+ZI|;@bYaNV48(Y(iPDEo&X@jN}X-q_-"
    r"s8y5HM6chwJIckRna*_QzW2WOz3=yZ@B6cFk01!rq5Bm<lO=+PCh!bIvp&uwDP|Kv5Mv!GLIe?WN#a=@bbc8d69{bk+as6W{_ITofvs7+<eBuLtM"
    r"zoAnan0RSw*BNZyvDaMiAvJe*BTLY%^)CE`dEBaj;P$D}E6<bdsj1+-#bnv9?p!6-!P|U0t2gC-"
    r"6uXS+`MEYjdz&qf?he(2*5gklmVv<XAh)F(y()4knl6kzJHI7h|$e7K&uutmxMeL)GV6sCttrmy{6WMD?WRwFCDfQqlYXh0&(+jLAp=2nJFT>Je|"
    r"l7EOS#sjRyeF{V6{bE>k$+5l=Ibrp%CpaD0(em>9Xz;GUkq2LHC-ypjYLz}WpCep!bx=qnsf`T<d20V&Qb~rSoGubq$J5@knL!vCZSSKuOBQi}CI"
    r"5Z-lNVgjF!3h$p<8ugZ9jPJ<N+7q3UX}IRI9XCy9o8JANLN|G4JJTQWwDM!WhJCBG-"
    r"<afe&7W@$g@1F;3(`iyTD>kyr80BTy;pOb?SEDWCgixwXy=cA)x|L7xIH`W`3BlNrD?6oI`HJd3DB2kwMoupDNOvfK@r$e_{ok$}ybkASFBG6o&*"
    r"0Kp830g9BkGV;-;yHXEGTdL}O)7)?hCV<rU!3Ixpn^#fO|2WpQiNvwf>%|+{*h`yWR+bvUC#I-Ye{u*mPbz=OMLbSHHrs4N-"
    r"AJa$Trg%KZy6)cAcg-Dpc<viw{t<x9v$oC@2AT_tik7ZEx_s$}FMWQz`)RIqOj31Qoz&TVIqJ&`3o5(biE$<NjN85??L=Ks6Pnr%z;tVCNx{r54>"
    r"t7;Wn_$-JykvN$%@Pja&FeHz6tV?lfJE+P$Q^KjB2y5DqG!OcyjL-o%oy&SzFP<{z-F|#uT()4!mD6XPu*a`D5`fv`v2Csj9$^!+W-"
    r"(CH%$7YZ9;cJt2G(;6E+yNG+kU!3t~Zb76ehHEILe8c!Zgt{P}BX!)Jvw3M3gkH?>XW6ujYZ<)zv?~K=1Je9h%x3uO?+5Ekg9erNcH{A!W?D}Gsg"
    r"}u5>z5&*zM76yZJl>L&4&P?eglX-QKq{j3&k_M=X8I&;!#f=V1%`z;JcEI_uEd>zKfn4HVp?-"
    r"Ae{nFsBKGbFgF}JYT@6`ZPrvvoW%<?57M!IIN2flMu=wQMflHTP?)>S6wQ21gL&<dSyM{w!o?g^d^y9Og{h6Pg+UUOXVo&L^luhSE@HfNSnl3I5T"
    r"&uiQS=VCt=-9m2XP5ZS_;=SX)24LZ*$o;A);4SXhQMIa_%Vm~zjEmI)o-e1g805rb}v1Aa2-9~QUsDroZg*Q=Pwo+uHXOV%g)kA|9Jj%Qs+wF-"
    r"R%t@ZoE-kdNya_Yk9r*-v-"
    r"^pP;RdjH&>Z|{oI<&BcgkA<Cu^U$Z^~gh<f7K>VF2D4TcvBOW%BHTKOw;h6?xZiE6oeWkTxd?kW~^CxtS2IqtU=2@mIX_JhcUTe1Dtf}^L5`-"
    r"%^2il$c$c{|u1sj}+h9jm-u#QuW^%zO7uUG;pypq3cZ@bj-"
    r"F^P?M+o>_B!^V*ctGwxP>;`!J6Y480h{`d!tQtG1jlGEGH)yQ1mx|*Kuzc*cL+BET;m~-L}?q%zDc1;F%DL8v&t8d*m{=wscL)-"
    r"Jyo9oma6Zu=X+v0KFHU@5%ewuc^v9+*y<;qaean`O^A8fo?5jRxUKdYP|Mvs$Z*@ufS`J6oQt!LB#5J^N4_&4%IeOv3^brJD{Pc+!fh0DSP{7-"
    r"aO(C4V{S_8kt5BvFEzj&a6%M8Tp8qCv?sOcjJY<F}R8~q!J7jQ92iN7~?8utV7<h#K|wv!jt;T`<Jiqx#eAFy)P&5H=@L|4N#<^aavlY&MgkD0-"
    r"T_NMc2RYrs{!K;d7h>uRvbUS`K_Gr4sN9eTSuk?RO1rD4dpqxSaevNydlt2JRGgvK&;)%FGKapGu^X@aH4U=(6@Gy$JK5KbR6cOwE{QQM|S$Dqr3"
    r"L_10jfYceIX-Mn(}U?A_H77O8X|=#hUKHed*g720&U|)F!7<*7#+sPhUe)2aXpM18*Z`x3y06lMZ^-"
    r"0Cph!4*AS6K9Op+c=L0<ujw2^LKL(TpqyWtVO2#iCP!`bC@SFf7W1sk93hNs*os%Q{<A%0-c^$Xv3JC>g{LGAOOK4@4RTMF@#Mwfq_h-"
    r"MZ%h+HV{HJ4wn`05{bL7!R6Z|Op-`n@YyZ"
)
