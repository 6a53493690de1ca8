ARG REGISTRY
ARG NODE=20 VARIANT=bookworm-slim
ARG BASE=node:${NODE}-${VARIANT}
ARG TAG
ARG VERSION=v3.12.4
FROM ${BASE}
ARG LATE=1
FROM ${REGISTRY:-docker.io}/library/nginx:${TAG:-1.27}
FROM python:${VERSION#v}
FROM debian:${VERSION%%.*}
FROM 'redis:7'
FROM "$BASE"
FROM example/app:${TAG}
FROM example/app:${LATE:-none}
FROM --platform=linux/arm64 example/arm
FROM --platform=${TARGETPLATFORM:-linux/amd64} example/any
FROM --platform=linux/${TARGETARCH} example/any2
FROM example/tools-${TARGETARCH}
