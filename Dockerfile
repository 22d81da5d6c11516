# syntax=docker/dockerfile:1
# Mooncast in a container: nobody's, without a shell, with a root that may be read-only. The project is the volume.
#
#   docker build -t mooncast .
#   docker run --rm --read-only -v "$PWD:/project" --user "$(id -u)" mooncast rehearse scripts/hello.lua
#   docker run -d --network host --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 60 \
#     --restart always -v mooncast:/project --env-file mooncast.env mooncast
#
# The user that runs it (uid 65534) needs to write the project: the ledger is in .mooncast/. /tmp is for rehearsals and
# tests; `serve` needs none. A stop takes as long as `[serve] stop_within` says, hence the timeout. `serve` listens on
# 127.0.0.1:7311. With --network host that is the machine's own loopback; without it, the container's, and a proxy in
# front shares the container's network (`--network container:NAME`). `mooncast upgrade --check` knows where to ask if the
# image is built with `--build-arg MOONCAST_REPOSITORY=https://github.com/OWNER/NAME`.

FROM rust:1.95.0-bookworm AS build
# The image's own toolchain; rust-toolchain.toml would fetch what only tests need.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /source
COPY . .
ARG MOONCAST_REPOSITORY=
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --profile dist --locked --features otlp --bin mooncast \
    && install -D target/dist/mooncast /made/usr/bin/mooncast \
    && install -D -m 644 LICENSE /made/usr/share/doc/mooncast/copyright \
    && install -d -o 65534 -g 65534 -m 750 /made/project /made/project/.mooncast

# The C library and certificates, no more.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /made/ /
USER 65534:65534
WORKDIR /project
VOLUME ["/project", "/tmp"]
ENTRYPOINT ["/usr/bin/mooncast"]
CMD ["--log-format", "json", "serve"]
# Settings, ledger's folder, address, token and clock. Unhealthy means that nothing can be sent just now, which a new
# start seldom mends: a daemon that ends is started again by the restart policy.
HEALTHCHECK --interval=5m --timeout=60s --start-period=30s --retries=2 CMD ["/usr/bin/mooncast", "doctor"]
