# syntax=docker/dockerfile:1
# puller in a container, for hosts and pipelines that have an engine and no Python:
#
#     docker build -t puller .
#     docker run --rm -v /var/run/docker.sock:/var/run/docker.sock \
#         --group-add "$(stat -c %g /var/run/docker.sock)" -v "$PWD:/work:ro" puller pull images.txt
#
# It runs as a user without privileges, so it needs the group of the socket. It uses the Engine API and contains no
# docker command. Logins of registries: -v "$HOME/.docker/config.json:/home/puller/.docker/config.json:ro".

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY docs/puller.1 docs/
COPY puller puller
RUN python -m venv /opt/puller \
    && /opt/puller/bin/pip install --no-cache-dir --no-compile . \
    && /opt/puller/bin/puller --version

FROM python:3.12-slim
LABEL org.opencontainers.image.title="puller" \
      org.opencontainers.image.description="Pull a list of Docker images in parallel and report exactly what succeeded and what failed." \
      org.opencontainers.image.licenses="MIT"
RUN useradd --create-home --uid 10001 puller \
    && install -d -o puller -g puller /home/puller/.docker /home/puller/.local/state/puller
COPY --from=build /opt/puller /opt/puller
ENV PATH=/opt/puller/bin:$PATH
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["puller"]
CMD ["--help"]
