"""Size, orientation and colour of pictures, against known pictures and FFmpeg's own program."""

from __future__ import annotations

import pathlib
from fractions import Fraction

import av
import av.filter
import data_generation as generate
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import Interpolation, VideoReformatter
from record_factory import span_at

from reelbeam.transforms.media.decoding.decoder import Geometry, decode_clips
from reelbeam.transforms.media.decoding.picture import Orientation, PictureConverter
from reelbeam.transforms.media.decoding.probe import probe

Picture = npt.NDArray[np.uint8]

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def first_picture(path: pathlib.Path, geometry: Geometry) -> Picture:
    span = span_at(0, Fraction(0))
    ((_, frames),) = decode_clips(path, probe(path), [span], geometry)
    picture: Picture = frames[0]
    return picture


def corners(_: int, width: int, height: int) -> Picture:
    """Red top left, green top right, blue bottom left, white bottom right."""
    picture = np.empty((height, width, 3), np.uint8)
    top, left = slice(None, height // 2), slice(None, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    picture[top, left], picture[top, right] = RED, GREEN
    picture[bottom, left], picture[bottom, right] = BLUE, WHITE
    return picture


def colours_at_corners(picture: Picture) -> list[tuple[int, ...]]:
    """Returns top left, top right, bottom left, bottom right, each channel 0 or 255."""
    quarter, rest = picture.shape[0] // 4, picture.shape[0] * 3 // 4
    places = [(quarter, quarter), (quarter, rest), (rest, quarter), (rest, rest)]
    return [tuple(255 * int(value > 127) for value in picture[place]) for place in places]


@pytest.mark.parametrize(
    ("size", "pixel_aspect_ratio", "expected"),
    [
        ((340, 256), "1", (255, 192)),
        ((256, 340), "1", (192, 255)),
        ((1920, 1080), "1", (341, 192)),  # 341.33
        ((854, 480), "1", (342, 192)),  # 341.6
        ((340, 256), "1024/765", (341, 192)),  # 455.1 x 256
        ((720, 576), "64/45", (341, 192)),  # 1024 x 576
        ((480, 480), "1/2", (192, 384)),  # the width becomes the short side
        ((100, 100), "1", (192, 192)),
    ],
)
def test_scaled_size(size: tuple[int, int], pixel_aspect_ratio: str, expected: tuple[int, int]) -> None:
    assert Geometry(192, 172).scaled_size(*size, Fraction(pixel_aspect_ratio)) == expected


@pytest.mark.parametrize(("resize", "size"), [(172, 192), (10, 0)])
def test_geometry_refuses_a_crop_that_does_not_fit(resize: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"size={size}"):
        Geometry(resize, size)


def test_crop_is_the_centre() -> None:
    ramp = np.zeros((24, 40, 3), np.uint8)
    ramp[:, :, 0], ramp[:, :, 1] = np.arange(40), np.arange(24)[:, None]
    converter = PictureConverter(Geometry(24, 11), Fraction(1))
    picture = converter.convert(av.VideoFrame.from_ndarray(ramp, "rgb24"))
    assert np.array_equal(picture, ramp[6:17, 14:25])


@pytest.mark.parametrize(
    ("rotation", "mirror", "expected"),
    [
        (0, False, [RED, GREEN, BLUE, WHITE]),
        (90, False, [BLUE, RED, WHITE, GREEN]),
        (180, False, [WHITE, BLUE, GREEN, RED]),
        (270, False, [GREEN, WHITE, RED, BLUE]),
        (0, True, [GREEN, RED, WHITE, BLUE]),
        (90, True, [RED, BLUE, GREEN, WHITE]),
        (180, True, [BLUE, WHITE, RED, GREEN]),
        (270, True, [WHITE, GREEN, BLUE, RED]),
    ],
)
def test_pictures_are_upright(
    tmp_path: pathlib.Path, rotation: int, mirror: bool, expected: list[tuple[int, ...]]
) -> None:
    path = generate.make_video(
        tmp_path / "v.mp4", 2, width=96, height=96, draw=corners, rotation=rotation, mirror=mirror
    )
    assert colours_at_corners(first_picture(path, Geometry(64, 64))) == expected


def test_turned_picture_keeps_its_proportions(tmp_path: pathlib.Path) -> None:
    # Stored 160x96, shown 96x160: the short side that is scaled to 64 is the stored height.
    path = generate.make_video(tmp_path / "v.mp4", 2, width=160, height=96, rotation=90)
    frame = next(av.open(str(path)).decode(video=0))
    upright = Orientation.of_frame(frame)
    assert upright.transpose
    picture = first_picture(path, Geometry(64, 64))
    assert generate.read_frame_number(np.rot90(picture)) == 0


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90, 89])
def test_orientation_of_degrees_turns_clockwise(degrees: int) -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    turned = Orientation.of_degrees(degrees).apply(picture)
    assert np.array_equal(turned, np.rot90(picture, -round(degrees / 90)))


def test_pixel_aspect_ratio_is_honoured(tmp_path: pathlib.Path) -> None:
    """A circle stored in wide pixels is a circle when shown."""

    def ellipse(_: int, width: int, height: int) -> Picture:
        y, x = np.mgrid[:height, :width]
        inside = ((x - width / 2) * 2) ** 2 + (y - height / 2) ** 2 < 30**2
        return np.where(inside[:, :, None], np.uint8(255), np.uint8(0)).repeat(3, axis=2)

    path = generate.make_video(tmp_path / "v.mp4", 2, 25, 80, 80, draw=ellipse, pixel_aspect_ratio=Fraction(2))
    shown = first_picture(path, Geometry(80, 80))[:, :, 0] > 127
    assert abs(int(shown.any(axis=0).sum()) - int(shown.any(axis=1).sum())) <= 2
    assert abs(int(shown.any(axis=1).sum()) - 60) <= 2


# Without a tag for the chroma location, the filter needs it as an option: left, as in MPEG-4 and H.264.
CHROMA_AT_LEFT = ":in_h_chr_pos=0:in_v_chr_pos=128"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kinetics_style_256p.mp4", CHROMA_AT_LEFT),
        ("hevc.mp4", CHROMA_AT_LEFT),
        ("mpeg4_packed_bframes.avi", CHROMA_AT_LEFT),
        ("av1.mkv", ""),
    ],
)
def test_pictures_are_those_of_ffmpegs_scale_filter(shared_dir: pathlib.Path, name: str, options: str) -> None:
    """Bit for bit."""
    with av.open(str(shared_dir / "media" / name)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        flags = "bilinear+accurate_rnd+full_chroma_int"
        graph.link_nodes(
            graph.add_buffer(template=stream),
            graph.add("scale", f"w=230:h=172:flags={flags}{options}"),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        ).configure()
        converter = PictureConverter(Geometry(172, 160), Fraction(230 * stream.height, 172 * stream.width))
        for frame, _ in zip(container.decode(stream), range(8), strict=False):
            graph.push(frame)
            scaled = graph.pull()
            assert isinstance(scaled, av.VideoFrame)
            assert np.array_equal(converter.convert(frame), scaled.to_ndarray()[6:166, 35:195])


@pytest.mark.parametrize(("width", "height"), [(340, 256), (330, 240), (640, 360), (97, 201), (1280, 720), (172, 172)])
@pytest.mark.parametrize(
    "pix_fmt",
    "yuv420p yuvj420p yuv422p yuv444p yuv411p nv12 yuv420p10le yuv422p10le yuva420p p010le gray ya8 monow rgb24 bgra"
    " gbrp gbrap10le rgb48le rgb565le pal8 yuyv422".split(),
)
def test_planes_give_the_bytes_of_rgb(pix_fmt: str, width: int, height: int) -> None:
    """Pictures of any ratio equal those of one pass of swscale to RGB."""
    frame = av.VideoFrame(width, height, pix_fmt)
    chance = np.random.default_rng(width)
    for plane in frame.planes:
        samples = chance.integers(0, 256, plane.buffer_size, np.uint8)
        if "10" in pix_fmt:  # of 16 bits
            samples[1::2] %= 4
        plane.update(samples.tobytes())
    geometry = Geometry(192, 172)
    scaled = VideoReformatter().reformat(
        frame,
        *geometry.scaled_size(width, height, Fraction(1)),
        "rgb24",
        interpolation=Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND,
    )
    top, left = (scaled.height - 172) // 2, (scaled.width - 172) // 2
    expected = scaled.to_ndarray()[top : top + 172, left : left + 172]
    assert np.array_equal(PictureConverter(geometry, Fraction(1)).convert(frame), expected)


COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (255, 255, 255), (0, 0, 0), (128, 128, 128), (230, 190, 60)]


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_colours_follow_the_tags(rgb: tuple[int, int, int], matrix: str, full_range: bool, bits: int) -> None:
    draw, _, _ = generate.solid_colour(rgb, matrix, full_range, bits)
    frame = draw(0, 64, 48)
    assert isinstance(frame, av.VideoFrame)
    picture = PictureConverter(Geometry(32, 32), Fraction(1)).convert(frame)
    assert np.abs(picture.astype(int) - rgb).max() <= 3


@pytest.mark.parametrize(
    ("matrix", "full_range", "bits", "codec"),
    [
        ("bt601", False, 8, "libx264"),
        ("bt709", False, 8, "libx264"),
        ("bt709", True, 8, "libx264"),
        ("bt709", False, 10, "libx264"),
        ("bt2020", False, 10, "libx265"),
    ],
)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_colours_survive_a_file(
    tmp_path: pathlib.Path, matrix: str, full_range: bool, bits: int, codec: str, container: str
) -> None:
    rgb = (200, 40, 60)
    draw, colorspace, color_range = generate.solid_colour(rgb, matrix, full_range, bits)
    path = generate.make_video(
        tmp_path / f"v.{container}",
        2,
        draw=draw,
        codec=codec,
        pix_fmt="yuv420p" if bits == 8 else "yuv420p10le",
        colorspace=colorspace,
        color_range=color_range,
        options={"x265-params": "log-level=none"} if codec == "libx265" else {},
    )
    picture = first_picture(path, Geometry(32, 32))
    assert np.abs(picture.astype(int) - rgb).max() <= 5


def test_untagged_means_bt601_limited(tmp_path: pathlib.Path) -> None:
    draw, _, _ = generate.solid_colour((200, 40, 60))

    def untagged(index: int, width: int, height: int) -> av.VideoFrame:
        frame = draw(index, width, height)
        assert isinstance(frame, av.VideoFrame)
        frame.colorspace, frame.color_range = 2, 0
        return frame

    path = generate.make_video(tmp_path / "v.mp4", 2, draw=untagged)
    assert np.abs(first_picture(path, Geometry(32, 32)).astype(int) - (200, 40, 60)).max() <= 5


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("v.mov", "mjpeg", "yuvj420p"),
        ("v.mkv", "ffv1", "yuv444p"),
        ("v.mkv", "ffv1", "bgr0"),
        ("v.mkv", "libx264rgb", "rgb24"),
        ("v.mkv", "ffv1", "gray"),
        ("v.gif", "gif", "rgb8"),
    ],
)
def test_other_picture_formats(tmp_path: pathlib.Path, name: str, codec: str, pix_fmt: str) -> None:
    path = generate.make_video(tmp_path / name, 2, 25, 96, 96, draw=corners, codec=codec, pix_fmt=pix_fmt)
    picture = first_picture(path, Geometry(64, 64))
    if pix_fmt == "gray":
        assert np.ptp(picture.astype(int), axis=2).max() <= 1
    else:
        assert colours_at_corners(picture) == [RED, GREEN, BLUE, WHITE]
