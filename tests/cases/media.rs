//! Sizes and durations of pictures, sounds and videos.
//!
//! Store: file

use std::iter;

use serde_json::{Value, json};

use crate::support::service::{Service, accept, json as answer};
use crate::support::{Project, Ran};

/// Uploads a file and sends it as a message of this type. Returns the body that the service got.
#[track_caller]
fn sent(name: &str, content: &[u8], kind: &str) -> Value {
    let (ran, messages) = try_to_send(name, content, kind, "");
    ran.exits(0);
    messages[0]["body"].clone()
}

/// Uploads with more options and sends. Returns the result and the requests.
fn try_to_send(name: &str, content: &[u8], kind: &str, options: &str) -> (Ran, Vec<Value>) {
    let service = service();
    let script = format!(
        r#"im.group_send {{
            to = "184524748161025", type = "{kind}", body = {{ file = im.upload("{name}", {{ {options} }}) }},
        }}"#
    );
    let ran = Project::with_script(script).file(name, content).run_against(&service);
    (ran, service.messages())
}

fn service() -> Service {
    Service::answering(|count, request| {
        if request.path.ends_with("/chatfiles") {
            return answer(
                200,
                r#"{"uri":"http://files.test/f","entities":[{"uuid":"u-1","type":"chatfile"}]}"#,
            );
        }
        accept(count, request)
    })
}

/// Checks that the upload is refused with these words and no message is sent.
#[track_caller]
fn refused(name: &str, content: &[u8], kind: &str, words: &[&str]) {
    let (ran, messages) = try_to_send(name, content, kind, "");
    assert!(messages.is_empty(), "{messages:?}");
    let ran = ran.exits(1);
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {ran:?}");
    }
}

fn tiff(orientation: u16) -> Vec<u8> {
    let entry = |tag: u16, value: u16| {
        [&tag.to_le_bytes()[..], &3_u16.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes(), &[0, 0]]
            .concat()
    };
    let entries = [entry(0x100, 400), entry(0x101, 300), entry(0x112, orientation)].concat();
    [b"II*\0\x08\0\0\0\x03\0", entries.as_slice(), &[0; 4]].concat()
}

/// A JPEG of 400 x 300 with only its headers.
fn jpeg(orientation: u16) -> Vec<u8> {
    let exif = [b"Exif\0\0", tiff(orientation).as_slice()].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let frame = [8, 1, 44, 1, 144, 1, 1, 0x11, 0];
    [&[0xff, 0xd8, 0xff, 0xe1], &length[..], &exif, &[0xff, 0xc0, 0, 11], &frame, &[0xff, 0xd9]].concat()
}

fn png(orientation: u16) -> Vec<u8> {
    let chunk = |kind: &[u8], contents: &[u8]| {
        let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
        [&length[..], kind, contents, &[0; 4]].concat()
    };
    let head = [&400_u32.to_be_bytes()[..], &300_u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let chunks = [chunk(b"IHDR", &head), chunk(b"eXIf", &tiff(orientation)), chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n", chunks.as_slice()].concat()
}

fn webp(orientation: u16) -> Vec<u8> {
    let chunk = |kind: &[u8], contents: &[u8]| {
        [kind, &u32::try_from(contents.len()).unwrap().to_le_bytes(), contents].concat()
    };
    let canvas = [&[8, 0, 0, 0], &399_u32.to_le_bytes()[..3], &299_u32.to_le_bytes()[..3]].concat();
    let chunks = [chunk(b"VP8X", &canvas), chunk(b"EXIF", &tiff(orientation))].concat();
    [b"RIFF", u32::try_from(chunks.len() + 4).unwrap().to_le_bytes().as_slice(), b"WEBP", &chunks].concat()
}

fn boxed(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
    [&u32::try_from(contents.len() + 8).unwrap().to_be_bytes(), &kind[..], contents].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn heic(quarters: u8) -> Vec<u8> {
    let size = boxed(*b"ispe", &words(&[0, 400, 300]));
    let properties = boxed(*b"iprp", &boxed(*b"ipco", &[size, boxed(*b"irot", &[quarters])].concat()));
    let meta = boxed(*b"meta", &[words(&[0]), properties].concat());
    [boxed(*b"ftyp", b"heic\0\0\0\0mif1"), meta].concat()
}

/// A `moov` box with a movie header, a track and more.
fn movie(units: u32, track: &[u8], more: &[u8]) -> Vec<u8> {
    let mut header = words(&[0, 0, 0, 1000, units]);
    header.resize(100, 0);
    [boxed(*b"ftyp", b"isom"), boxed(*b"moov", &[&boxed(*b"mvhd", &header), track, more].concat())].concat()
}

fn track(handler: [u8; 4], matrix: [u32; 2], size: [u32; 2]) -> Vec<u8> {
    let mut head = words(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, matrix[0], matrix[1], 0]);
    head.resize(76, 0);
    head.extend(words(&size.map(|side| side << 16)));
    let media = [
        boxed(*b"mdhd", &words(&[0, 0, 0, 1000, 0, 0])),
        boxed(*b"hdlr", &[&[0; 8], handler.as_slice(), &[0; 12]].concat()),
    ];
    boxed(*b"trak", &[boxed(*b"tkhd", &head), boxed(*b"mdia", &media.concat())].concat())
}

/// A movie in two fragments, of 2.0 and 1.8 s.
fn fragmented(handler: [u8; 4], size: [u32; 2]) -> Vec<u8> {
    let extends = boxed(*b"mvex", &boxed(*b"trex", &words(&[0, 1, 1, 40, 0, 0])));
    let fragment = |base: u32, run: &[u32]| {
        let part = [
            boxed(*b"tfhd", &words(&[0x8, 1, 20])),
            boxed(*b"tfdt", &words(&[0, base])),
            boxed(*b"trun", &words(run)),
        ];
        [boxed(*b"moof", &boxed(*b"traf", &part.concat())), boxed(*b"mdat", &[0; 40])].concat()
    };
    let head = movie(0, &track(handler, [0x10000, 0], size), &extends);
    [head, fragment(0, &[0, 100]), fragment(2000, &[0x100, 3, 500, 600, 700])].concat()
}

fn mp3(frames: usize) -> Vec<u8> {
    let frame = |kilobits: usize, code: u8| {
        let mut frame = vec![0xff, 0xfb, code << 4, 0xc4];
        frame.resize(144 * kilobits * 1000 / 44_100, 0);
        frame
    };
    (0..frames).flat_map(|i| if i % 2 == 0 { frame(160, 10) } else { frame(32, 1) }).collect()
}

/// A WAV with 16 bits, mono, 8,000 samples per second.
fn wav(said: u32, sound: usize) -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(8000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(said.to_le_bytes());
    file.resize(file.len() + sound, 0);
    file
}

#[test]
fn media_a_turned_picture_is_as_wide_as_it_is_shown() {
    let turned = json!({ "width": 300, "height": 400 });
    for (name, content) in [
        ("turned.jpg", jpeg(6)),
        ("mirrored.jpg", jpeg(5)),
        ("left.jpg", jpeg(8)),
        ("turned.png", png(6)),
        ("turned.webp", webp(8)),
        ("turned.tiff", tiff(7)),
        ("turned.heic", heic(1)),
    ] {
        assert_eq!(sent(name, &content, "img")["size"], turned, "{name}");
    }
}

#[test]
fn media_a_picture_upside_down_keeps_its_size() {
    for (name, content) in [("a.jpg", jpeg(3)), ("a.png", png(1)), ("a.webp", webp(4)), ("a.heic", heic(2))] {
        assert_eq!(sent(name, &content, "img")["size"], json!({ "width": 400, "height": 300 }), "{name}");
    }
}

/// Returns the result of `im.upload` for a file.
#[track_caller]
fn uploaded(name: &str, content: &[u8]) -> Ran {
    let script = format!(
        r#"local file = im.upload("{name}")
        print("file " .. tostring(file.width) .. " " .. tostring(file.height) .. " " .. tostring(file.duration))"#
    );
    Project::with_script(script).file(name, content).run_against(&service()).exits(0)
}

#[test]
fn media_a_video_filmed_upright_is_higher_than_wide() {
    for matrix in [[0, 0x10000], [0, 0xffff_0000]] {
        let clip = movie(2500, &track(*b"vide", matrix, [1920, 1080]), &[]);
        uploaded("clip.mp4", &clip).prints("file 1080 1920 2.5");
    }
}

#[test]
fn media_a_vbr_mp3_without_a_header_is_as_long_as_its_frames() {
    assert_eq!(sent("vbr.mp3", &mp3(268), "audio")["length"], 7);
    assert_eq!(sent("vbr.mp3", &mp3(300), "audio")["length"], 8);
}

#[test]
fn media_a_length_is_rounded_up_and_never_0() {
    assert_eq!(sent("short.wav", &wav(4800, 4800), "audio")["length"], 1);
    assert_eq!(sent("short.wav", &wav(33_600, 33_600), "audio")["length"], 3);
    let frames: Vec<u8> = [0x3c].into_iter().chain(iter::repeat_n(0, 31)).collect();
    let amr = [b"#!AMR\n".as_slice(), &frames.repeat(10)].concat();
    assert_eq!(sent("short.amr", &amr, "audio")["length"], 1);
}

#[test]
fn media_a_streamed_wav_is_as_long_as_its_bytes() {
    for said in [0, u32::MAX] {
        assert_eq!(sent("streamed.wav", &wav(said, 80_000), "audio")["length"], 5, "{said}");
    }
}

#[test]
fn media_a_fragmented_movie_is_as_long_as_its_fragments() {
    assert_eq!(sent("voice.m4a", &fragmented(*b"soun", [0, 0]), "audio")["length"], 4);
    uploaded("clip.mp4", &fragmented(*b"vide", [64, 48])).prints("file 64 48 3.8");
}

#[test]
fn media_aac_in_adts_is_as_long_as_its_frames() {
    let frame = |length: usize| {
        let bytes = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame =
            vec![0xff, 0xf1, 0x50, 0x80 | bytes[2] >> 3, bytes[2] << 5 | bytes[3] >> 3, bytes[3] << 5, 0];
        frame.resize(length, 0);
        frame
    };
    let file: Vec<u8> = (0..100).flat_map(|i| frame(if i == 0 { 400 } else { 120 })).collect();
    assert_eq!(sent("voice.aac", &file, "audio")["length"], 3);
}

#[test]
fn media_an_empty_file_is_refused() {
    refused("zero.jpg", b"", "img", &["zero.jpg", "empty", "force = true"]);
    refused("zero.bin", b"", "file", &["zero.bin", "empty", "force = true"]);
}

#[test]
fn media_a_file_that_is_not_what_its_name_says_is_refused() {
    refused("text.jpg", b"this is no picture", "img", &["text.jpg", "an image", "force = true"]);
    refused("page.mp3", b"<html>not found</html>", "audio", &["page.mp3", "a sound", "force = true"]);
    refused("picture.mp4", &png(1), "video", &["picture.mp4", "an image", "force = true"]);
    refused("voice.png", &wav(4800, 4800), "img", &["voice.png", "a sound", "force = true"]);
}

#[test]
fn media_a_file_of_another_kind_than_its_message_is_refused() {
    refused("picture.jpg", &jpeg(1), "audio", &["body.file", "an image", "force = true"]);
    refused("voice.wav", &wav(4800, 4800), "img", &["body.file", "a sound", "force = true"]);
    refused("voice.wav", &wav(4800, 4800), "video", &["body.file", "a sound", "force = true"]);
    refused("programme.txt", b"Programme", "img", &["body.file", "type file", "force = true"]);
}

#[test]
fn media_force_is_the_way_round() {
    for (name, content, kind) in [
        ("text.jpg", b"this is no picture".as_slice(), "img"),
        ("zero.jpg", b"", "img"),
        ("odd.wav", b"another sound", "audio"),
    ] {
        let (ran, messages) = try_to_send(name, content, kind, "force = true");
        ran.exits(0);
        assert_eq!(messages.len(), 1, "{name}");
    }
}

#[test]
fn media_a_length_that_cannot_be_known_is_asked_for() {
    let midi = b"MThd\0\0\0\x06\0\0\0\x01\0\x60";
    refused("tune.mid", midi, "audio", &["body.length", "length = SECONDS"]);
    let service = service();
    let script = r#"im.group_send { to = "184524748161025", type = "audio", body = { file = im.upload("tune.mid"), length = 9 } }"#;
    Project::with_script(script).file("tune.mid", midi).run_against(&service).exits(0);
    assert_eq!(service.messages()[0]["body"]["length"], 9);
}
