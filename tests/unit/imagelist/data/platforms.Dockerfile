FROM --platform=linux/amd64 busybox AS base-amd64
FROM --platform=linux/arm64 busybox AS base-arm64
FROM base-${TARGETARCH} AS final
COPY --from=$IMAGE /x /y
