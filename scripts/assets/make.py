"""Makes the example files of this folder from nothing: python3 scripts/assets/make.py"""

import math
import pathlib
import struct
import zlib

FOLDER = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 64, 48


def picture(shift):
    """Rows of (luma, blue, red) for a soft gradient, moved by `shift` pixels."""
    return [
        [(64 + 2 * ((x + shift) % WIDTH), 96 + y, 160 - y) for x in range(WIDTH)] for y in range(HEIGHT)
    ]


def rgb(pixel):
    luma, blue, red = pixel
    channels = (
        luma + 1.402 * (red - 128),
        luma - 0.344 * (blue - 128) - 0.714 * (red - 128),
        luma + 1.772 * (blue - 128),
    )
    return bytes(max(0, min(255, round(value))) for value in channels)


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"".join(map(rgb, row)) for row in picture(0))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def wav(rate=8000, seconds=1):
    samples = bytes(
        round(128 + 60 * math.sin(2 * math.pi * 440 * n / rate) * min(1, (rate * seconds - n) / 2000))
        for n in range(rate * seconds)
    )
    form = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


class Bits:
    """Bits of an H.264 stream."""

    def __init__(self):
        self.bits = []

    def fixed(self, value, width):
        self.bits += [value >> place & 1 for place in reversed(range(width))]

    def golomb(self, value):
        length = (value + 1).bit_length()
        self.fixed(0, length - 1)
        self.fixed(value + 1, length)

    def align(self):
        while len(self.bits) % 8:
            self.bits.append(0)

    def unit(self, kind):
        """The bits as one unit of the stream, with what would look like a start code escaped."""
        self.bits.append(1)
        self.align()
        data = bytes(int("".join(map(str, self.bits[i : i + 8])), 2) for i in range(0, len(self.bits), 8))
        out = bytearray([kind])
        for byte in data:
            if byte <= 3 and out[-2:] == b"\0\0":
                out.append(3)
            out.append(byte)
        return bytes(out)


def sequence_parameters():
    bits = Bits()
    for value in (66, 0xC0, 10):  # baseline, level 1
        bits.fixed(value, 8)
    for value in (0, 0, 2, 0):  # set 0, 16 frame numbers, pictures in order, no references
        bits.golomb(value)
    bits.fixed(0, 1)
    bits.golomb(WIDTH // 16 - 1)
    bits.golomb(HEIGHT // 16 - 1)
    bits.fixed(0b1100, 4)  # whole frames, direct 8x8, no cropping, nothing else
    return bits.unit(0x67)


def picture_parameters():
    bits = Bits()
    for value in (0, 0):
        bits.golomb(value)
    bits.fixed(0, 2)
    for value in (0, 0, 0):
        bits.golomb(value)
    bits.fixed(0, 3)
    for value in (0, 0, 0):
        bits.golomb(value)
    bits.fixed(0b100, 3)  # deblocking is said in the slice
    return bits.unit(0x68)


def frame(number, rows):
    """One picture whose blocks are stored raw."""
    bits = Bits()
    for value in (0, 7, 0):  # first block 0, all intra, parameters 0
        bits.golomb(value)
    bits.fixed(0, 4)
    bits.golomb(number)
    bits.fixed(0, 2)
    bits.golomb(0)
    bits.golomb(1)  # no deblocking
    for top in range(0, HEIGHT, 16):
        for left in range(0, WIDTH, 16):
            bits.golomb(25)  # a raw block
            bits.align()
            for y in range(16):
                for x in range(16):
                    bits.fixed(rows[top + y][left + x][0], 8)
            for channel in (1, 2):
                for y in range(0, 16, 2):
                    for x in range(0, 16, 2):
                        bits.fixed(rows[top + y][left + x][channel], 8)
    return bits.unit(0x65)


def box(kind, *parts):
    data = b"".join(parts)
    return struct.pack(">I", 8 + len(data)) + kind + data


def full(kind, flags, *parts):
    return box(kind, struct.pack(">I", flags), *parts)


def mp4(seconds=2):
    frames = [frame(index % 2, picture(8 * index)) for index in range(seconds)]
    samples = [struct.pack(">I", len(data)) + data for data in frames]
    sps, pps = sequence_parameters(), picture_parameters()
    matrix = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    codec = box(
        b"avcC",
        bytes([1, 66, 0xC0, 10, 0xFF, 0xE1]) + struct.pack(">H", len(sps)) + sps,
        b"\1" + struct.pack(">H", len(pps)) + pps,
    )
    entry = box(
        b"avc1",
        struct.pack(">6xH16xHHIIIH32sHh", 1, WIDTH, HEIGHT, 72 << 16, 72 << 16, 0, 1, b"", 24, -1),
        codec,
    )
    kinds = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomavc1")
    start = len(kinds) + 8
    table = box(
        b"stbl",
        full(b"stsd", 0, struct.pack(">I", 1), entry),
        full(b"stts", 0, struct.pack(">III", 1, seconds, 1000)),
        full(b"stsc", 0, struct.pack(">IIII", 1, 1, seconds, 1)),
        full(b"stsz", 0, struct.pack(">II", 0, seconds), *(struct.pack(">I", len(s)) for s in samples)),
        full(b"stco", 0, struct.pack(">II", 1, start)),
    )
    media = box(
        b"mdia",
        full(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, 1000, 1000 * seconds, 0x55C4, 0)),
        full(b"hdlr", 0, struct.pack(">4x4s12x", b"vide"), b"video\0"),
        box(
            b"minf",
            full(b"vmhd", 1, bytes(8)),
            box(b"dinf", full(b"dref", 0, struct.pack(">I", 1), full(b"url ", 1))),
            table,
        ),
    )
    track = full(
        b"tkhd",
        3,
        struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, 1000 * seconds, 0, 0, 0, 0),
        matrix,
        struct.pack(">II", WIDTH << 16, HEIGHT << 16),
    )
    header = full(
        b"mvhd",
        0,
        struct.pack(">IIIIIH10x", 0, 0, 1000, 1000 * seconds, 1 << 16, 1 << 8),
        matrix,
        bytes(24),
        struct.pack(">I", 2),
    )
    return kinds + box(b"mdat", *samples) + box(b"moov", header, box(b"trak", track, media))


for name, data in {"picture.png": png(), "voice.wav": wav(), "clip.mp4": mp4()}.items():
    (FOLDER / name).write_bytes(data)
