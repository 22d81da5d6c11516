//! What comes in as an audience: files as people have them, read right or refused.
