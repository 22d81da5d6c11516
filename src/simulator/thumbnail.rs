//! Thumbnails of uploaded images.

use std::io::Cursor;

use axum::http::HeaderMap;
use bytes::Bytes;
use image::{ImageFormat, ImageReader, Limits};

use super::refusal::Refusal;

/// An image of at most this many bytes is its own thumbnail (vendor's page).
const SMALL: usize = 10 * 1024;
/// The default height and width in pixels (vendor's page).
const DEFAULT_SIDE: u32 = 170;
/// The most pixels of a side, and the most bytes of memory, of an image that is made smaller.
const MOST_PIXELS: u32 = 20_000;
const MOST_MEMORY: u64 = 512 * 1024 * 1024;

/// The height and width that an upload asks for, in pixels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ThumbnailBounds {
    height: Option<u32>,
    width: Option<u32>,
}

pub(super) const HEIGHT: &str = "thumbnail-height";
pub(super) const WIDTH: &str = "thumbnail-width";

impl ThumbnailBounds {
    /// Reads the headers of an upload.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut size = Self::default();
        for name in [HEIGHT, WIDTH] {
            if let Some(text) = headers.get(name) {
                size.set(name, text.to_str().unwrap_or_default())?;
            }
        }
        Ok(size)
    }

    /// Sets a side, unless it is set.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let pixels = text.parse().ok().filter(|pixels| *pixels > 0);
        let pixels =
            pixels.ok_or_else(|| Refusal::illegal_argument(format!("{name} must be a number of pixels")))?;
        let side = if name == HEIGHT { &mut self.height } else { &mut self.width };
        side.get_or_insert(pixels);
        Ok(())
    }

    /// Returns the thumbnail of a file: the image with its proportions kept, made to fit into this size. A file that is
    /// small, fits already, or is no JPEG or PNG image is its own thumbnail.
    pub(super) fn of_file(self, file: &Bytes) -> Bytes {
        if file.len() <= SMALL {
            return file.clone();
        }
        self.shrunk(file).unwrap_or_else(|| file.clone())
    }

    fn shrunk(self, file: &Bytes) -> Option<Bytes> {
        let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().ok()?;
        let mut limits = Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(MOST_PIXELS), Some(MOST_PIXELS));
        limits.max_alloc = Some(MOST_MEMORY);
        reader.limits(limits);
        let format = reader.format()?;
        let image = reader.decode().ok()?;
        let (width, height) = (self.width.unwrap_or(DEFAULT_SIDE), self.height.unwrap_or(DEFAULT_SIDE));
        if image.width() <= width && image.height() <= height {
            return None;
        }
        let thumbnail = image.thumbnail(width, height);
        let mut bytes = Vec::new();
        let written = match format {
            ImageFormat::Png => thumbnail.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png),
            _ => thumbnail.to_rgb8().write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg),
        };
        written.ok().map(|()| bytes.into())
    }
}
