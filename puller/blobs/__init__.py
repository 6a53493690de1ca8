"""Blobs fetched without the engine: prefetching, `--to`, `load`, and the store that they share.

store, partial, journal             blobs on disk: complete ones in an OCI image layout, parts that survive the process
download, download_pool, queue      the downloads: threads, order, limits and retries
connections                         how many of them one registry gets
pace                                within a bandwidth, and in pieces of a useful size
missing                             the blobs of an image that the engine lacks
loopback_registry, served           the registry on loopback that the engine pulls from, and what it has
loopback_names                      the record of the names that images have there, for the runs after a kill
prefetch, prefetch_*                prefetching for an engine: always, or when the network turns out to be slow
network_monitor                     when that is the case
leftovers                           for which images the blobs are that a killed run left
export, export_targets, load        images as files: written without an engine, and loaded into one
"""

TEMPORARY = "temporary"
"""A file in the folder of a store that is to be removed at the end of the run; what a killed run leaves has it, too."""
