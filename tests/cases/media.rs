//! Sizes and lengths of pictures, sounds and videos.
