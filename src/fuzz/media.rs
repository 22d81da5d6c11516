//! Media files: what an upload reads of their content.

use std::io::Cursor;

use crate::client::media::{MediaKind, probe};

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "media", seeds, words: WORDS, cases: 5000, read });
}

const WORDS: &[&str] = &[
    "ftyp",
    "moov",
    "mvhd",
    "trak",
    "tkhd",
    "mdia",
    "mdhd",
    "hdlr",
    "minf",
    "stbl",
    "stts",
    "stsz",
    "moof",
    "traf",
    "tfhd",
    "tfdt",
    "trun",
    "sidx",
    "mvex",
    "trex",
    "mehd",
    "mdat",
    "meta",
    "iprp",
    "ipco",
    "ispe",
    "irot",
    "vide",
    "soun",
    "isom",
    "M4A ",
    "heic",
    "RIFF",
    "RF64",
    "WAVE",
    "fmt ",
    "data",
    "ds64",
    "LIST",
    "WEBP",
    "VP8X",
    "VP8L",
    "VP8 ",
    "EXIF",
    "OggS",
    "OpusHead",
    "OpusTags",
    "fLaC",
    "ID3\u{4}",
    "TAG",
    "Xing",
    "Info",
    "VBRI",
    "APETAGEX",
    "#!AMR\n",
    "#!AMR-WB\n",
    "FORM",
    "AIFF",
    "AIFC",
    "COMM",
    "SSND",
    "caff",
    "desc",
    "pakt",
    "IHDR",
    "IDAT",
    "eXIf",
    "acTL",
    "IEND",
    "Exif\0\0",
    "II*\0",
    "MM\0*",
    "GIF89a",
    "<svg width=\"1\" ",
    "BM",
    "matroska",
    "\u{1a}E",
];

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn boxed(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
    let size = u32::try_from(contents.len() + 8).unwrap();
    [&size.to_be_bytes(), &kind[..], contents].concat()
}

fn track(handler: [u8; 4], stts: &[u32]) -> Vec<u8> {
    let mut head = words(&[7, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
    head.extend(words(&[64 << 16, 48 << 16]));
    let table = boxed(*b"stbl", &boxed(*b"stts", &words(&[&[0, 1], stts].concat())));
    let media = [
        boxed(*b"mdhd", &words(&[0, 0, 0, 1000, 0, 0])),
        boxed(*b"hdlr", &[&[0; 8], handler.as_slice(), &[0; 12]].concat()),
        boxed(*b"minf", &table),
    ];
    boxed(*b"trak", &[boxed(*b"tkhd", &head), boxed(*b"mdia", &media.concat())].concat())
}

fn movie(more: &[u8]) -> Vec<u8> {
    let mut header = words(&[0, 0, 0, 1000, 12_500]);
    header.resize(100, 0);
    let moov = [boxed(*b"mvhd", &header), track(*b"soun", &[300, 20]), more.to_vec()].concat();
    [boxed(*b"ftyp", b"M4A isom"), boxed(*b"moov", &moov), boxed(*b"mdat", &[7; 40])].concat()
}

fn fragments() -> Vec<u8> {
    let part = [
        boxed(*b"tfhd", &words(&[0x8, 7, 20])),
        boxed(*b"tfdt", &words(&[0, 0])),
        boxed(*b"trun", &words(&[0x301, 3, 0, 500, 1, 600, 1, 700, 1])),
    ];
    let fragment = boxed(*b"moof", &boxed(*b"traf", &part.concat()));
    let index = boxed(*b"sidx", &words(&[0, 1, 500, 0, 0, 2, 9, 1000, 0, 9, 250, 0]));
    [movie(&boxed(*b"mvex", &boxed(*b"trex", &words(&[0, 7, 1, 40, 0, 0])))), fragment, index].concat()
}

fn mp3() -> Vec<u8> {
    let frame = [vec![0xff, 0xfb, 0x90, 0xc4], vec![0; 413]].concat();
    [b"ID3\x04\0\0\0\0\0\x0a".as_slice(), &[0; 10], &frame.repeat(4)].concat()
}

fn wav() -> Vec<u8> {
    let format = [1_u32 | 1 << 16, 8000, 16_000, 2 | 16 << 16].map(u32::to_le_bytes).concat();
    [b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".as_slice(), &format, b"data\xff\xff\xff\xff", &[0; 160]]
        .concat()
}

fn ogg() -> Vec<u8> {
    let page = |flags: u8, position: u64, sequence: u32, packet: &[u8]| {
        let head =
            [b"OggS\0".as_slice(), &[flags], &position.to_le_bytes(), &[1, 0, 0, 0], &sequence.to_le_bytes()]
                .concat();
        let segments = [1, u8::try_from(packet.len()).unwrap()];
        [&head[..], &[0; 4], &segments, packet].concat()
    };
    let head = b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0";
    let tags = b"OpusTags\x01\0\0\0a\0\0\0\0";
    [page(2, 0, 0, head), page(0, 0, 1, tags), page(4, 96_000, 2, &[0xfc, 1, 2])].concat()
}

fn image() -> Vec<Vec<u8>> {
    let tiff =
        b"II*\0\x08\0\0\0\x02\0\0\x01\x03\0\x01\0\0\0\x90\x01\0\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let exif = [b"Exif\0\0".as_slice(), tiff].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let jpeg = [
        b"\xff\xd8\xff\xe1".as_slice(),
        &length,
        &exif,
        b"\xff\xc0\0\x0b\x08\x01\x2c\x01\x90\x01\x01\x11\0\xff\xd9",
    ]
    .concat();
    let chunk = |kind: &[u8; 4], contents: &[u8]| {
        let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
        [&length[..], kind, contents, &[0; 4]].concat()
    };
    let head = [&400_u32.to_be_bytes()[..], &300_u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let png = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &head),
        chunk(b"eXIf", tiff),
        chunk(b"IDAT", &[0; 9]),
        chunk(b"IEND", &[]),
    ];
    let size = [&[0; 4][..], &400_u32.to_be_bytes(), &300_u32.to_be_bytes()].concat();
    let properties =
        boxed(*b"iprp", &boxed(*b"ipco", &[boxed(*b"ispe", &size), boxed(*b"irot", &[1])].concat()));
    let heif =
        [boxed(*b"ftyp", b"heic\0\0\0\0mif1"), boxed(*b"meta", &[&[0; 4], properties.as_slice()].concat())];
    let webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\x8f\x01\0\x2b\x01\0";
    vec![
        jpeg,
        png.concat(),
        heif.concat(),
        webp.to_vec(),
        b"GIF89a\x03\0\x05\0\0\0\0".to_vec(),
        b"<svg/>".to_vec(),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let amr = [b"#!AMR\n".as_slice(), &[[0x3c].as_slice(), &[0; 31]].concat().repeat(5)].concat();
    let flac = [b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0\0\0\xac\x44".as_slice(), &[0; 16]]
        .concat();
    let sounds =
        vec![movie(&track(*b"vide", &[1, 1])), movie(&[]), fragments(), mp3(), wav(), ogg(), amr, flac];
    let others = [
        b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01\x18\x53\x80\x67\xff".to_vec(),
        b"FORM\0\0\0\x36AIFFCOMM\0\0\0\x12\0\x01\0\0\0\x04\0\x10\x40\x0b\xfa\0\0\0\0\0\0\0SSND\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20\x40\xe5\x88\x80\0\0\0\0lpcm\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\x10data\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0".to_vec(),
        [b"\xff\xf1\x50\x80\x02\x1f\xfc".as_slice(), &[0; 9]].concat().repeat(6),
    ];
    [sounds, image(), others.to_vec()].concat()
}

fn read(input: &[u8]) -> String {
    let found = probe(Cursor::new(input));
    let is_known = found.content != MediaKind::Other;
    let length = match found.duration.map(|length| length.as_secs()) {
        None => "unknown",
        Some(0) => "short",
        Some(1..60) => "usual",
        Some(60..100_000) => "long",
        Some(_) => "huge",
    };
    let sized = (found.width.is_some(), found.height.is_some());
    format!("{} {:?} {sized:?} {length}", if is_known { "ok" } else { "other" }, found.content)
}
