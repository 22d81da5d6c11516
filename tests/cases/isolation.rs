//! What a script can do to the host: memory, descriptors, secrets.
