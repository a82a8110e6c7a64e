# syntax=docker/dockerfile:1
# The server with the page inside. Build and run: docker compose up --build

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches hold the registry, the tools that build the page, and earlier builds.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo fetch --locked && \
    cargo xtask build-page && \
    cargo build --release --locked --package leasehold-server && \
    cp target/release/leasehold /leasehold && \
    mkdir /data

# The C library and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /leasehold /usr/local/bin/leasehold
# A new volume takes its owner from this directory.
COPY --from=build --chown=nonroot:nonroot --chmod=700 /data /var/lib/leasehold
USER nonroot
VOLUME /var/lib/leasehold
EXPOSE 7700/udp 7780/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=70s CMD ["/usr/local/bin/leasehold", "status", "--json"]
ENTRYPOINT ["/usr/local/bin/leasehold"]
# All addresses of the container; which of them the host publishes is the decision of `docker run`.
CMD ["serve", "--listen", "0.0.0.0:7700", "--http", "0.0.0.0:7780", "--data-dir", "/var/lib/leasehold"]
