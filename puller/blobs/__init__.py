"""Blobs fetched in front of the engine: over many connections, resumable, and offered to it on loopback.

store, part      blobs on disk: whole ones in an OCI image layout, parts that survive the process
wanted, agenda   what is to be fetched, in which order, and how far it has come
fetch            the threads that fetch it
catalog          what images consist of, and what of that the engine lacks
serve            the registry on loopback that engines pull from
backend          the engine, fed by all this
layout, archive  images as files, without an engine
"""
