//! Requests that no client sends. Each is answered, and none ends the simulator.

use bytes::Bytes;
use http::{Method, Request};
use mooncast::{Clock, Simulator, SimulatorLimits, SimulatorSettings};
use proptest::prelude::*;

use super::harness::settings;

fn simulator(strict: bool) -> Simulator {
    let limits = SimulatorLimits::lifted();
    let settings = SimulatorSettings { strict, limits, ..settings() };
    Simulator::new(settings, Clock::simulated(std::time::Duration::from_secs(1_700_000_000)))
}

fn path() -> impl Strategy<Value = String> {
    let known = [
        "token",
        "messages",
        "messages/chatgroups",
        "messages/chatgroups/users",
        "messages/users",
        "messages/chatrooms",
        "messages/batch_recall",
        "messages/msg_recall",
        "messages/rewrite/1",
        "chatfiles",
        "chatgroups",
        "chatgroups/184524748161025/users",
        "chatmessages/2023111422",
    ];
    let query =
        "(\\?[a-z]{0,6}=[a-z0-9%+]{0,6}(&(limit|pagesize|pagenum|cursor|version)=[a-z0-9%-]{0,6}){0,2})?";
    let path = prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "[a-z/]{0,12}"];
    (path, "/{0,2}", query).prop_map(|(path, slashes, query)| format!("/o/a/{path}{slashes}{query}"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = "[{\\[]?(\"(to|type|body|msg|target|target_type|msgs|force)\"[:, ]{0,2}[\\[{]?(\"[a-z]{0,4}\"|[0-9.e-]{1,4}|null)[\\]}]?[, \n]?){0,6}[}\\]]?";
    let part = "--XX\r\ncontent-disposition: form-data; name=\"(file|thumbnail-width|x)\"\r\n\r\n[a-z0-9]{0,8}\r\n(--XX--\r\n)?";
    prop_oneof![
        json.prop_map(String::into_bytes),
        part.prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn kind() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("application/json".to_owned()),
        "multipart/form-data(; ?[bB]oundary=\"?[X-]{0,3}\"?;?){0,3}",
        "[ -~]{0,20}",
    ]
}

proptest! {
    #[test]
    fn every_request_is_answered(
        strict in any::<bool>(),
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE]),
        path in path(),
        kind in kind(),
        header in ("(restrict-access|thumbnail-height|thumbnail|accept)", "[ -~]{0,8}"),
        body in body(),
    ) {
        let Ok(request) = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", "Bearer test-token")
            .header("content-type", kind)
            .header(header.0, header.1)
            .body(Bytes::from(body))
        else {
            return Ok(());
        };
        let answer = simulator(strict).handle(&request).whole().unwrap();
        prop_assert!(!answer.status().is_server_error(), "{} {:?}", answer.status(), request);
    }

    #[test]
    fn a_broken_image_is_its_own_thumbnail_or_has_one(
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        format in prop::sample::select(vec![image::ImageFormat::Png, image::ImageFormat::Jpeg]),
    ) {
        let mut file = Vec::new();
        let pixels = image::RgbImage::from_fn(200, 200, |x, y| {
            let [red, green, blue, _] = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503_000)).to_be_bytes();
            image::Rgb([red, green, blue])
        });
        pixels.write_to(&mut std::io::Cursor::new(&mut file), format).unwrap();
        for (at, byte) in changes {
            let at = at.index(file.len().min(2_000));
            file[at] = byte;
        }
        file.truncate(file.len() - cut.index(2) * 5_000);
        let simulator = simulator(false);
        let head = b"--XX\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";
        let upload = Request::post("/o/a/chatfiles")
            .header("authorization", "Bearer test-token")
            .header("content-type", "multipart/form-data; boundary=XX")
            .body(Bytes::from([&head[..], &file, b"\r\n--XX--\r\n"].concat()))
            .unwrap();
        let uploaded = simulator.handle(&upload).whole().unwrap();
        let uploaded: serde_json::Value = serde_json::from_slice(uploaded.body()).unwrap();
        let uuid = uploaded["entities"][0]["uuid"].as_str().unwrap();
        let download = Request::get(format!("/o/a/chatfiles/{uuid}"))
            .header("authorization", "Bearer test-token")
            .header("thumbnail", "true")
            .body(Bytes::new())
            .unwrap();
        let thumbnail = simulator.handle(&download).whole().unwrap().into_body();
        let fits = |image: image::DynamicImage| image.width() <= 170 && image.height() <= 170;
        prop_assert!(thumbnail == file || image::load_from_memory(&thumbnail).is_ok_and(fits));
    }
}
