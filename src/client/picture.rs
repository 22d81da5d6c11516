//! Fetches the thumbnail of an uploaded picture.

use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::Client;
use super::call::CallSpec;
use super::failure::CallError;

const PICTURE: CallSpec = CallSpec::get("/chatfiles/{uuid}");

/// The most bytes of a thumbnail.
const PICTURE_BYTES: usize = 4 * 1024 * 1024;

/// A picture and its media type.
#[derive(Debug, Clone)]
pub struct Picture {
    pub media_type: &'static str,
    pub bytes: Bytes,
}

impl Client {
    /// Fetches the thumbnail of the file at `url`, which must be one of the app's own files. No redirect is followed.
    ///
    /// # Errors
    ///
    /// [`super::FailureClass::Permanent`] if the address is another one, or the file is no PNG, JPEG, GIF or `WebP` of at most
    /// 4 MiB. Otherwise see [`CallError::class`].
    pub async fn picture(&self, url: &str, secret: Option<&str>) -> Result<Picture, CallError> {
        let own = self.own_file(url).ok_or_else(|| PICTURE.refuse("the file is not one of the app's own"))?;
        let secret = secret.map(HeaderValue::from_str).transpose();
        let mut secret = secret.map_err(|_| PICTURE.refuse("the file's secret cannot be sent"))?;
        if let Some(secret) = &mut secret {
            secret.set_sensitive(true);
        }
        let success = self
            .call(PICTURE, || {
                let mut request = Request::new(Method::GET, own.clone());
                let headers = request.headers_mut();
                headers.insert(ACCEPT, HeaderValue::from_static("image/*"));
                headers.insert(HeaderName::from_static("thumbnail"), HeaderValue::from_static("true"));
                if let Some(secret) = &secret {
                    headers.insert(HeaderName::from_static("share-secret"), secret.clone());
                }
                Ok(request.into())
            })
            .await?;
        let bytes = success.into_body();
        if bytes.len() > PICTURE_BYTES {
            return Err(PICTURE.refuse("the picture is larger than 4 MiB"));
        }
        let media_type =
            media_type(&bytes).ok_or_else(|| PICTURE.refuse("the file is no PNG, JPEG, GIF or WebP"))?;
        Ok(Picture { media_type, bytes })
    }

    /// The address of one of the app's files, without its query; `None` for any other address.
    fn own_file(&self, url: &str) -> Option<Url> {
        let mut url = Url::parse(url).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        let uuid = url.path_segments()?.next_back()?;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if uuid.is_empty() || !uuid.chars().all(plain) {
            return None;
        }
        let own = self.url(&["chatfiles", uuid]);
        (own == url).then_some(own)
    }
}

/// The media type by the first bytes, for the types that every browser shows.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
